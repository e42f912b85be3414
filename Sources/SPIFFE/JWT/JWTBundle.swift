/// The JWT authorities of one trust domain, by key ID.
///
/// May be empty.
public struct JWTBundle: Hashable, Sendable {
    /// Whose authorities these are.
    public let trustDomain: TrustDomain

    /// Public keys by the `kid` that tokens name.
    public let authorities: [String: JWTVerificationKey]

    /// Creates a bundle.
    ///
    /// - Parameters:
    ///   - trustDomain: Whose authorities these are.
    ///   - authorities: Public keys by key ID.
    public init(trustDomain: TrustDomain, authorities: [String: JWTVerificationKey]) {
        self.trustDomain = trustDomain
        self.authorities = authorities
    }

    /// The key that a token names, byte for byte: `String` alone would call two spellings equal.
    func authority(named keyID: String) -> JWTVerificationKey? {
        guard let index = authorities.index(forKey: keyID), authorities[index].key.utf8.elementsEqual(keyID.utf8) else {
            return nil
        }
        return authorities[index].value
    }
}
