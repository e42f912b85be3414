package import Foundation
package import SPIFFE

/// The bundle of another trust domain, as this issuer hands it to its agents.
package struct FederatedBundle: Hashable, Sendable {
    /// Authorities of one kind that a bundle holds at most; those of X.509 go to workloads in one field.
    package static let maximumAuthorities = DERConcatenation.maximumCount

    package let trust: TrustBundle
    /// When JWT authorities end, by key ID, where somebody said so.
    package let jwtEnds: [String: Date]

    /// - Throws: ``FederationError/tooManyAuthorities(limit:)``.
    package init(_ trust: TrustBundle, jwtEnds: [String: Date] = [:]) throws(FederationError) {
        guard trust.x509.authorities.count <= Self.maximumAuthorities,
            trust.jwt.authorities.count <= Self.maximumAuthorities
        else { throw .tooManyAuthorities(limit: Self.maximumAuthorities) }
        self.trust = trust
        self.jwtEnds = jwtEnds.filter { trust.jwt.authorities[$0.key] != nil }
    }

    package var trustDomain: TrustDomain { trust.trustDomain }
}

/// What somebody would like changed in a bundle; what is nil stays.
package struct FederatedBundlePatch: Sendable {
    /// Holds the new values; its other parts count for nothing.
    package let bundle: FederatedBundle
    package var replacesX509 = true
    package var replacesJWT = true
    package var replacesRefreshHint = true
    package var replacesSequence = true

    package init(_ bundle: FederatedBundle) { self.bundle = bundle }

    /// The bundle with the change made.
    func applied(to old: FederatedBundle) throws(FederationError) -> FederatedBundle {
        let (from, new) = (old.trust, bundle.trust)
        return try FederatedBundle(
            TrustBundle(
                trustDomain: from.trustDomain,
                x509Authorities: (replacesX509 ? new : from).x509.authorities,
                jwtAuthorities: (replacesJWT ? new : from).jwt.authorities,
                sequence: (replacesSequence ? new : from).sequence,
                refreshHint: (replacesRefreshHint ? new : from).refreshHint),
            jwtEnds: replacesJWT ? bundle.jwtEnds : old.jwtEnds)
    }
}
