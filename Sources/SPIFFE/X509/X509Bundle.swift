public import X509

/// The X.509 authorities of one trust domain.
///
/// May be empty, which means that nothing of that domain is valid.
public struct X509Bundle: Hashable, Sendable {
    /// Whose authorities these are.
    public let trustDomain: TrustDomain

    /// The CA certificates, in the order given.
    public let authorities: [Certificate]

    /// Creates a bundle.
    ///
    /// - Parameters:
    ///   - trustDomain: Whose authorities these are.
    ///   - authorities: CA certificates.
    public init(trustDomain: TrustDomain, authorities: [Certificate]) {
        self.trustDomain = trustDomain
        self.authorities = authorities
    }
}
