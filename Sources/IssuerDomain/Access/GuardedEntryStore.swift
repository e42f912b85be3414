package import Foundation
package import SPIFFE
internal import Synchronization

/// An entry store that lets a registrar change only what lies within its scopes, and knows which entries give power.
///
/// Stands between the registrar and the store, where every change of every API passes with what was there before.
package final class GuardedEntryStore: EntryStore {
    private let store: any EntryStore
    /// The IDs that grants name.
    private let named: Set<SPIFFEID>
    private let needsSecondPerson: Bool
    private let state = Mutex(GuardedEntries())

    /// Creates a store.
    ///
    /// - Parameters:
    ///   - store: Where entries are kept.
    ///   - named: IDs that hold power whatever the entries say, because grants name them.
    ///   - needsSecondPerson: Whether two people must agree to what gives power.
    package init(_ store: any EntryStore, named: Set<SPIFFEID> = [], needsSecondPerson: Bool = false) {
        (self.store, self.named, self.needsSecondPerson) = (store, named, needsSecondPerson)
    }

    package func loadEntries() async throws(StoreError) -> (entries: [Entry], revision: UInt64) {
        let loaded = try await store.loadEntries()
        state.withLock { state in
            state = GuardedEntries()
            for entry in loaded.entries { state.put(entry) }
        }
        return loaded
    }

    package func loadDigestSets() async throws(StoreError) -> [DigestSet] { try await store.loadDigestSets() }

    package func apply(_ changes: [EntryChange]) async throws(StoreError) -> UInt64 {
        try await apply(changes) { () async throws(StoreError) in try await self.store.apply(changes) }
    }

    /// Makes changes durable by other means than the entry store's own, such as in one transaction with something else.
    ///
    /// - Parameters:
    ///   - changes: What happens to entries.
    ///   - write: Makes them durable.
    /// - Returns: What `write` returns.
    /// - Throws: What `write` throws, or why the caller may not; then it was not called.
    package func apply(
        _ changes: [EntryChange], by write: () async throws(StoreError) -> UInt64
    ) async throws(StoreError) -> UInt64 {
        for change in changes {
            if let objection = objection(to: change) { throw objection }
        }
        let revision = try await write()
        state.withLock { state in
            for change in changes {
                switch change {
                case .put(let entry): state.put(entry)
                case .delete(let id): state.remove(id)
                case .putDigestSet, .deleteDigestSet: break
                }
            }
        }
        return revision
    }

    package func objection(to change: EntryChange) -> StoreError? {
        state.withLock { state in
            if let scopes = RegistrationScope.binding, let reason = violation(by: change, of: scopes, state) {
                return .outsideScope(detail: reason)
            }
            guard needsSecondPerson, !SecondPerson.hasAgreed, case .put(let entry) = change,
                state[entry.id]?.contents != entry.contents, givesPower(entry, state)
            else { return nil }
            return .needsSecondPerson(
                detail: "'\(entry.contents.spiffeID)' holds a role, is admin or downstream, or leads to what is")
        }
    }

    // MARK: Power

    /// Whether an SVID is that of an entry with admin set.
    package func holdsAdminEntry(_ id: SPIFFEID, now: Date) -> Bool { holds(id, now: now) { $0.isAdmin } }

    /// Whether an SVID is that of an entry with downstream set.
    package func holdsDownstreamEntry(_ id: SPIFFEID, now: Date) -> Bool { holds(id, now: now) { $0.isDownstream } }

    /// Whether an ID is one by which its holder may do more than a workload: now, earlier or later.
    package func holdsPower(_ id: SPIFFEID) -> Bool { state.withLock { holdsPower(id, $0) } }

    /// Whether an SVID for an ID may be had by asking for it, without an entry.
    package func mayBeMinted(_ id: SPIFFEID) -> Bool { !needsSecondPerson || !holdsPower(id) }

    /// Whether a change of an entry, or an entry for an ID, would give power to somebody.
    ///
    /// - Parameters:
    ///   - id: The ID that the entry would have; nil when that is not known.
    ///   - entryID: The entry that would be changed.
    /// - Returns: Also true for an ID whose holder may serve entries that give power.
    package func leadsToPower(_ id: SPIFFEID?, entryID: String) -> Bool {
        state.withLock { state in
            [id, state[entryID]?.contents.spiffeID].contains { $0.map { leadsToPower($0, state) } ?? false }
        }
    }

    private func holds(_ id: SPIFFEID, now: Date, _ hasFlag: (EntryContents) -> Bool) -> Bool {
        state.withLock { state in
            state.powers(of: id).contains { entry in hasFlag(entry.contents) && entry.contents.isInForce(at: now) }
        }
    }

    private func holdsPower(_ id: SPIFFEID, _ state: borrowing GuardedEntries) -> Bool {
        named.contains(id) || !state.powers(of: id).isEmpty
    }

    /// Whoever has an ID may serve the entries below it, and so has theirs.
    private func leadsToPower(_ id: SPIFFEID, _ state: borrowing GuardedEntries) -> Bool {
        if holdsPower(id, state) { return true }
        return state.below(id).contains { entry in
            entry.contents.isAdmin || entry.contents.isDownstream || named.contains(entry.contents.spiffeID)
        }
    }

    private func givesPower(_ entry: Entry, _ state: borrowing GuardedEntries) -> Bool {
        entry.contents.isAdmin || entry.contents.isDownstream || leadsToPower(entry.contents.spiffeID, state)
    }

    // MARK: Scopes

    private func violation(
        by change: EntryChange, of scopes: [RegistrationScope], _ state: borrowing GuardedEntries
    ) -> String? {
        switch change {
        case .put(let entry):
            if let before = state[entry.id], let reason = Self.violation(of: before.contents, scopes) { return reason }
            if let reason = Self.violation(of: entry.contents, scopes) { return reason }
            let id = entry.contents.spiffeID
            if holdsPower(id, state) { return "'\(id)' holds a role, or is admin or downstream" }
            let foreign = state.below(id).first { Self.violation(of: $0.contents, scopes) != nil }
            return foreign.map { "whoever has '\(id)' has '\($0.contents.spiffeID)' as well" }
        case .delete(let id): return state[id].flatMap { Self.violation(of: $0.contents, scopes) }
        case .putDigestSet(let set): return Self.digestSet(set.name)
        case .deleteDigestSet(let name): return Self.digestSet(name)
        }
    }

    /// A digest set says what entries of anybody mean.
    private static func digestSet(_ name: String) -> String {
        "digest set '\(name)' is for those who are bound by no scope"
    }

    /// An entry must lie within one scope with all that it says.
    private static func violation(of contents: EntryContents, _ scopes: [RegistrationScope]) -> String? {
        var reason = "no scope is given"
        for scope in scopes {
            guard let violation = scope.violation(of: contents) else { return nil }
            reason = violation
        }
        return reason
    }
}
