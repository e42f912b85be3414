package import SPIFFE

/// A JWT signing key with the ID that tokens name.
package struct JWTAuthority: Sendable {
    package let record: AuthorityRecord
    package let key: any SigningKey
    /// The public half, read once for the many tokens checked with it.
    package let verificationKey: JWTVerificationKey

    /// Puts a key together with its record.
    ///
    /// - Throws: `damaged` when the record does not hold the key's public half.
    package init(record: AuthorityRecord, key: any SigningKey) throws(AuthorityError) {
        guard Array(key.publicKeyDER) == record.publicDER else { throw .damaged(id: record.id) }
        do { verificationKey = try JWTVerificationKey(derRepresentation: record.publicDER) } catch {
            throw .damaged(id: record.id)
        }
        (self.record, self.key) = (record, key)
    }

    package var keyID: String { record.id }
}
