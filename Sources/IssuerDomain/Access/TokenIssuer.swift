package import SPIFFE

/// Somebody whose tokens name admins: an OpenID provider.
package struct TokenIssuer: Hashable, Sendable {
    /// Where its keys are.
    package enum Keys: Hashable, Sendable {
        /// A file with a JWK Set.
        case file(String)
        /// A URL of one, `https` unless it is on this machine.
        case url(String)
    }

    /// What the configuration calls it; grants name it so.
    package let name: String
    /// The `iss` claim.
    package let issuer: String
    /// One of these must be in the `aud` claim.
    package let audience: JWTAudience
    package let keys: Keys
    package let algorithms: Set<JWTAlgorithm>

    package init(
        name: String, issuer: String, audience: JWTAudience, keys: Keys,
        algorithms: Set<JWTAlgorithm> = [.rs256, .es256, .es384, .ps256]
    ) {
        (self.name, self.issuer, self.audience, self.keys) = (name, issuer, audience, keys)
        self.algorithms = algorithms
    }
}
