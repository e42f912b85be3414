package import Foundation

/// Which X.509-SVIDs to ask for now; a function of what is held and the time.
package enum IssuancePlan {
    /// The most SVIDs minted ahead of demand; the rest are issued when a workload asks.
    package static let prefetchLimit = 1000

    /// Decides.
    ///
    /// - Parameters:
    ///   - entries: All that this node may serve.
    ///   - held: SVIDs by slot; those that an entry has only for processes that are there are renewed, and no others.
    ///   - now: The time.
    /// - Returns: The entries to issue for, the most urgent first.
    package static func due(
        _ entries: some Collection<AuthorizedEntry>, held: [SVIDSlot: HeldX509SVID], now: Date
    ) -> [AuthorizedEntry] {
        var room = prefetchLimit - held.count
        let onDemand = entries.filter(\.isOnDemand)
        let byID = Dictionary(onDemand.map { ($0.id, $0) }, uniquingKeysWith: { one, _ in one })
        let asked = held.keys.sorted().compactMap { slot in byID[slot.entryID]?.entry(in: slot) }
        let entries = entries.filter { !$0.isOnDemand } + asked
        let due = entries.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }.filter { entry in
            guard !entry.storesSVID, entry.expiresAt.map({ $0 > now }) ?? true else { return false }
            if let svid = held[entry.slot] {
                // One that is not valid yet was issued before the clock was set back.
                return svid.entryRevision != entry.revision || svid.renewal.due <= now
                    || svid.validity.lowerBound > now
            }
            guard entry.prefetchesX509, room > 0 else { return false }
            room -= 1
            return true
        }
        // What would end soonest comes first; what is not held at all is waited for, so it comes before that.
        return due.sorted { one, other in
            (held[one.slot]?.validity.upperBound ?? .distantPast)
                < (held[other.slot]?.validity.upperBound ?? .distantPast)
        }
    }

    /// When to look again, if nothing changes until then.
    ///
    /// - Returns: nil when nothing is held.
    package static func nextDue(_ held: [SVIDSlot: HeldX509SVID]) -> Date? { held.values.map(\.renewal.due).min() }
}
