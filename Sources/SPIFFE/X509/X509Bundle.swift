public import X509

/// The X.509 authorities of one trust domain.
///
/// May be empty, which means that nothing of that domain is valid. Cheap to copy: what it holds is shared.
public struct X509Bundle: Hashable, Sendable {
    /// Whose authorities these are.
    public let trustDomain: TrustDomain

    /// The CA certificates, in the order given.
    public let authorities: [Certificate]

    /// The authorities read once for the many chains judged by them; without those that cannot be read, which therefore
    /// vouch for nothing.
    let issuers: [PathCertificate]

    /// Creates a bundle.
    ///
    /// - Parameters:
    ///   - trustDomain: Whose authorities these are.
    ///   - authorities: CA certificates.
    public init(trustDomain: TrustDomain, authorities: [Certificate]) {
        self.trustDomain = trustDomain
        self.authorities = authorities
        issuers = authorities.compactMap { try? PathCertificate($0) }
    }

    /// Compares trust domain and certificates; the order counts.
    public static func == (one: X509Bundle, other: X509Bundle) -> Bool {
        one.trustDomain == other.trustDomain && one.authorities == other.authorities
    }

    /// Hashes what `==` compares.
    ///
    /// - Parameter hasher: Takes the values.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(trustDomain)
        hasher.combine(authorities)
    }
}
