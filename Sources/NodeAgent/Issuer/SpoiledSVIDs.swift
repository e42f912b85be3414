package import AgentDomain
package import Foundation
internal import Platform
package import SPIFFE
internal import X509

/// Which X.509-SVIDs to replace before their time, and how fast.
package struct SpoiledSVIDs {
    private let tainted: Set<String>
    private let published: Set<String>
    private let spread: TimeInterval

    /// SVIDs replaced in a second, at the most, by one node: a hundred in five seconds.
    private static let pace: TimeInterval = 20
    /// A node with few SVIDs spreads them over this many seconds, because all nodes hear at once.
    package static let shortestSpread: TimeInterval = 5

    /// Judges by a bundle.
    ///
    /// - Parameters:
    ///   - tainted: Which of the bundle's authorities are tainted.
    ///   - bundle: The bundle.
    ///   - held: How many SVIDs this node holds.
    package init(tainted: TaintedAuthorities, bundle: TrustBundle, held: Int) {
        self.tainted = tainted.authorityKeyIDs
        published = Set(bundle.x509.authorities.map { AuthorityKeyID.text(of: $0) })
        spread = max(Self.shortestSpread, TimeInterval(held) / Self.pace)
    }

    /// Within how many seconds to replace what an authority vouches for.
    ///
    /// - Parameter authorityKeyID: The authority's subject key identifier, in hex.
    /// - Returns: nil when there is no reason to; 0 when nobody believes it any more.
    package func spread(of authorityKeyID: String) -> TimeInterval? {
        guard !authorityKeyID.isEmpty else { return nil }
        if !published.contains(authorityKeyID) { return 0 }
        return tainted.contains(authorityKeyID) ? spread : nil
    }

    /// Brings the renewals forward of all that are to be replaced.
    package func hasten(_ svids: inout [SVIDSlot: HeldX509SVID], now: Date) {
        var entropy = SystemEntropy()
        for (id, svid) in svids {
            guard let spread = spread(of: svid.authorityKeyID) else { continue }
            svids[id]?.hasten(now: now, within: spread, using: &entropy)
        }
    }
}

/// The subject key identifier of an authority, in hex.
enum AuthorityKeyID {
    static func text(of certificate: Certificate) -> String {
        let stated = (try? certificate.extensions.subjectKeyIdentifier)?.keyIdentifier
        return Hex.encode(stated ?? SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier)
    }
}
