package import SPIFFE

/// A JWT signing key with the ID that tokens name.
package struct JWTAuthority: Sendable {
    package let record: AuthorityRecord
    package let key: any SigningKey
    /// The public half, read once for the many tokens checked with it.
    package let verificationKey: JWTVerificationKey
    /// The first part of every token, with the full stop after it.
    let encodedHeader: [UInt8]

    /// Puts a key together with its record.
    ///
    /// - Throws: `damaged` when the record does not hold the key's public half.
    package init(record: AuthorityRecord, key: any SigningKey) throws(AuthorityError) {
        guard Array(key.publicKeyDER) == record.publicDER else { throw .damaged(id: record.id) }
        do { verificationKey = try JWTVerificationKey(derRepresentation: record.publicDER) } catch {
            throw .damaged(id: record.id)
        }
        (self.record, self.key) = (record, key)
        let header: JSONValue = .members([
            "alg": .string(key.type.jwtAlgorithm.rawValue), "kid": .string(record.id), "typ": .string("JWT"),
        ])
        var encoded: [UInt8] = []
        Base64URL.append(header.compactBytes, to: &encoded)
        encoded.append(UInt8(ascii: "."))
        encodedHeader = encoded
    }

    package var keyID: String { record.id }
}
