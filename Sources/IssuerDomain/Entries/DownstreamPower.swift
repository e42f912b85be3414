package import Foundation
package import SPIFFE

/// What an identity may have as that of a server below this one.
package struct DownstreamPower: Hashable, Sendable {
    /// When the last entry that gives it ends; nil when one has no end.
    package let end: Date?
    /// How long an authority lives for which no lifetime is asked; nil when no entry says.
    package let lifetime: Duration?
}

extension EntryIndex {
    /// What the entries of an identity let it have.
    ///
    /// - Returns: nil when none that holds now has downstream set.
    package func downstreamPower(of id: SPIFFEID, now: Date) -> DownstreamPower? {
        let entries = entries(of: id).filter { $0.contents.isDownstream && $0.contents.isInForce(at: now) }
        guard !entries.isEmpty else { return nil }
        let ends = entries.map { $0.contents.expiresAt ?? .distantFuture }
        let end = ends.max().flatMap { $0 == .distantFuture ? nil : $0 }
        return DownstreamPower(end: end, lifetime: entries.compactMap(\.contents.x509TTL).max())
    }
}
