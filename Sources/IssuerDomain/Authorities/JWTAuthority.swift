/// A JWT signing key with the ID that tokens name.
package struct JWTAuthority: Sendable {
    package let record: AuthorityRecord
    package let key: any SigningKey

    package init(record: AuthorityRecord, key: any SigningKey) { (self.record, self.key) = (record, key) }

    package var keyID: String { record.id }
}
