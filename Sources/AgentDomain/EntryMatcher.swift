package import Foundation
package import SPIFFE

/// Finds the entries whose selectors are all among those found on a workload.
///
/// Each entry is filed under one of its own selectors, the one that the fewest entries share, so a look-up touches only
/// entries that have at least that one in common with the workload.
package struct EntryMatcher: Sendable {
    private var filed: [Selector: [AuthorizedEntry]] = [:]

    /// Files entries.
    ///
    /// - Parameter entries: All that this node may serve. Those without selectors, or meant for a store, are left out.
    package init(_ entries: some Sequence<AuthorizedEntry> = []) {
        let entries = entries.filter { !$0.selectors.isEmpty && !$0.storesSVID }
        var frequency: [Selector: Int] = [:]
        for entry in entries { for selector in entry.selectors { frequency[selector, default: 0] += 1 } }
        for entry in entries {
            let rarest = entry.selectors.min { one, other in
                (frequency[one] ?? 0, one) < (frequency[other] ?? 0, other)
            }
            guard let rarest else { continue }
            filed[rarest, default: []].append(entry)
        }
    }

    /// The entries that match, oldest first; the first is the default identity (WLAPI-11).
    ///
    /// - Parameters:
    ///   - found: Every selector found on the workload.
    ///   - now: Entries that have expired by then do not match.
    /// - Returns: Entries whose selectors were all found, sorted by creation, then ID; empty when none match.
    package func matches(_ found: Set<Selector>, now: Date) -> [AuthorizedEntry] {
        candidates(for: found)
            .filter { entry in
                (entry.expiresAt.map { $0 > now } ?? true) && entry.selectors.isSubset(of: found)
            }
            .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    }

    /// Whether some entry would match if only the executable's digest were known.
    ///
    /// Hashing is the one costly fact, so it is gathered only for workloads that something hangs on it for.
    ///
    /// - Parameters:
    ///   - found: Every other selector found on the workload.
    ///   - isDigest: Tells digest selectors from others.
    /// - Returns: True when an entry has a digest selector and all of its others were found.
    package func needsDigest(_ found: Set<Selector>, isDigest: (Selector) -> Bool) -> Bool {
        for entry in filed.lazy.flatMap(\.value) where entry.selectors.contains(where: isDigest) {
            if entry.selectors.allSatisfy({ isDigest($0) || found.contains($0) }) { return true }
        }
        return false
    }

    private func candidates(for found: Set<Selector>) -> [AuthorizedEntry] { found.flatMap { filed[$0] ?? [] } }
}
