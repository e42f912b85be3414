internal import Foundation
public import X509

/// What one trust domain publishes: its X.509 and JWT authorities, with a sequence number (SPIFFE Bundle §4).
///
/// The documents say bundle; so does Foundation, of something else.
public struct TrustBundle: Hashable, Sendable {
    /// The X.509 authorities.
    public let x509: X509Bundle

    /// The JWT authorities.
    public let jwt: JWTBundle

    /// Grows with every change of content; nil when the publisher does not say.
    public let sequence: UInt64?

    /// How often to look again, in seconds; nil when the publisher does not say.
    public let refreshHint: UInt64?

    /// Whose bundle this is.
    public var trustDomain: TrustDomain { x509.trustDomain }

    /// Creates a bundle.
    ///
    /// - Parameters:
    ///   - trustDomain: Whose bundle this is.
    ///   - x509Authorities: CA certificates.
    ///   - jwtAuthorities: Public keys by key ID.
    ///   - sequence: Grows with every change of content.
    ///   - refreshHint: How often to look again, in seconds.
    public init(
        trustDomain: TrustDomain, x509Authorities: [Certificate], jwtAuthorities: [String: JWTVerificationKey],
        sequence: UInt64? = nil, refreshHint: UInt64? = nil
    ) {
        x509 = X509Bundle(trustDomain: trustDomain, authorities: x509Authorities)
        jwt = JWTBundle(trustDomain: trustDomain, authorities: jwtAuthorities)
        self.sequence = sequence
        self.refreshHint = refreshHint
    }
}
