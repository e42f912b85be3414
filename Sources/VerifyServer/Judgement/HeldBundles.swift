package import SPIFFE

/// Everything that requests are judged by at one moment; a part is nil while the agent does not give it.
package struct HeldBundles: Sendable {
    package var jwt: [TrustDomain: JWTBundle]?
    package var x509: [TrustDomain: X509Bundle]?
    package var revocationLists: [RevocationList]

    /// Creates a set; nothing is held unless given.
    package init(
        jwt: [TrustDomain: JWTBundle]? = nil, x509: [TrustDomain: X509Bundle]? = nil,
        revocationLists: [RevocationList] = []
    ) {
        (self.jwt, self.x509, self.revocationLists) = (jwt, x509, revocationLists)
    }

    /// Whether any request could be judged.
    package var isComplete: Bool { jwt != nil && x509 != nil }
}
