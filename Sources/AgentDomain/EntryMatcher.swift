package import Foundation
internal import SPIFFE

/// Finds the entries whose selectors were all found on a workload, and whose level it reaches.
///
/// Each entry is filed under one of its own selectors, the one that the fewest entries share, so a look-up touches only
/// entries that have at least that one in common with the workload.
package struct EntryMatcher: Sendable {
    /// How many entries are looked at to tell why none matches.
    private static let mostWanting = 256

    private var filed: [Selector: [AuthorizedEntry]] = [:]
    /// Entries that name a user, and something of which only a higher level tells.
    private var wanting: [Selector: [AuthorizedEntry]] = [:]

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
            guard entry.selectors.contains(where: { Self.level(of: $0) > .account }) else { continue }
            for user in entry.selectors where Self.isUser(user) && wanting[user]?.count ?? 0 < Self.mostWanting {
                wanting[user, default: []].append(entry)
            }
        }
    }

    /// The entries that match, oldest first; the first is the default identity (WLAPI-11).
    ///
    /// - Parameters:
    ///   - attestation: What was found on the workload, and the level that it reaches.
    ///   - now: Entries that have expired by then do not match.
    /// - Returns: Entries whose selectors were all found, whose rules are obeyed and whose terms are met, as they are for
    ///   this workload; sorted by creation, then ID; empty when none match.
    package func matches(_ attestation: Attestation, now: Date) -> [AuthorizedEntry] {
        candidates(for: attestation.selectors)
            .filter { entry in
                Self.isCurrent(entry, now) && entry.selectors.isSubset(of: attestation.selectors)
                    && attestation.meets(entry.terms, naming: entry.selectors)
                    && entry.conditions.admit(found: attestation.selectors, now: now)
            }
            .compactMap { $0.filled(by: attestation.selectors) }
            .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    }

    /// Whether an entry for the workload's own user lacks only what would be told at a higher level.
    ///
    /// Entries of other users are not looked at, so that the answer tells nothing of them.
    ///
    /// - Parameters:
    ///   - attestation: What was found on the workload, and the level that it reaches.
    ///   - now: Entries that have expired by then do not count.
    /// - Returns: False when something else is wrong, and when nothing is.
    package func asksForMore(than attestation: Attestation, now: Date) -> Bool {
        let reached = max(attestation.levelVouched, attestation.levelVouchedAdmittingJIT)
        return attestation.selectors.lazy.filter(Self.isUser).contains { user in
            wanting[user]?.contains { entry in
                let missing = entry.selectors.subtracting(attestation.selectors)
                return !missing.isEmpty && missing.allSatisfy { Self.level(of: $0) > reached }
                    && Self.isCurrent(entry, now)
            } ?? false
        }
    }

    /// The lowest level at which a selector is told; the lowest of all for one that this system does not know.
    private static func level(of selector: Selector) -> AssuranceLevel {
        SelectorVocabulary.family(of: selector)?.minimum ?? .account
    }

    private static func isUser(_ selector: Selector) -> Bool {
        selector.kind == "unix"
            && (selector.value.utf8.starts(with: "uid:".utf8) || selector.value.utf8.starts(with: "user:".utf8))
    }

    /// The entries that come nearest to matching without doing so, each with what it lacks.
    ///
    /// For explanations: it looks at every entry.
    ///
    /// - Parameters:
    ///   - attestation: What was found on the workload, and the level that it reaches.
    ///   - now: Entries that have expired by then do not match.
    ///   - limit: The most that are told.
    /// - Returns: The nearest first.
    package func nearMisses(_ attestation: Attestation, now: Date, limit: Int = 16) -> [NearMiss] {
        let misses = filed.values.lazy.flatMap(\.self).compactMap { entry in
            NearMiss(entry, attestation, hasExpired: !Self.isCurrent(entry, now), now: now)
        }
        return Array(misses.sorted(by: NearMiss.isNearer).prefix(max(0, limit)))
    }

    private static func isCurrent(_ entry: AuthorizedEntry, _ now: Date) -> Bool {
        entry.expiresAt.map { $0 > now } ?? true
    }

    private func candidates(for found: Set<Selector>) -> [AuthorizedEntry] { found.flatMap { filed[$0] ?? [] } }
}
