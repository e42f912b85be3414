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
    private let counted: Set<RegistrationScope>
    private let state: Mutex<GuardedEntries>

    /// Creates a store.
    ///
    /// - Parameters:
    ///   - store: Where entries are kept.
    ///   - named: IDs that hold power whatever the entries say, because grants name them.
    ///   - needsSecondPerson: Whether two people must agree to what gives power.
    ///   - scopes: Those of all registrars; of those that bound how many entries there are, entries are counted.
    package init(
        _ store: any EntryStore, named: Set<SPIFFEID> = [], needsSecondPerson: Bool = false,
        scopes: some Sequence<RegistrationScope> = []
    ) {
        (self.store, self.named, self.needsSecondPerson) = (store, named, needsSecondPerson)
        counted = Set(scopes.filter { $0.maximumEntries != nil })
        state = Mutex(GuardedEntries(counting: counted))
    }

    package func loadEntries() async throws(StoreError) -> (entries: [Entry], revision: UInt64) {
        let loaded = try await store.loadEntries()
        state.withLock { state in
            state = GuardedEntries(counting: counted)
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
            if let objection = objection(to: change, isAlone: false) { throw objection }
        }
        if let scopes = RegistrationScope.binding {
            let reason = state.withLock { overflow(of: scopes, by: changes, $0) }
            if let reason { throw .outsideScope(detail: reason) }
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

    package func objection(to change: EntryChange) -> StoreError? { objection(to: change, isAlone: true) }

    /// Judges a change; whether there is room for it depends on what is changed with it.
    private func objection(to change: EntryChange, isAlone: Bool) -> StoreError? {
        state.withLock { state in
            if let scopes = RegistrationScope.binding {
                if let reason = violation(by: change, of: scopes, state) { return .outsideScope(detail: reason) }
                if isAlone, let reason = overflow(of: scopes, by: [change], state) {
                    return .outsideScope(detail: reason)
                }
            }
            guard needsSecondPerson, !SecondPerson.hasAgreed, let reason = power(in: change, state) else { return nil }
            return .needsSecondPerson(detail: reason)
        }
    }

    /// Whom a change gives power to; nil when nobody gets any.
    private func power(in change: EntryChange, _ state: borrowing GuardedEntries) -> String? {
        switch change {
        case .put(let entry):
            guard state[entry.id]?.contents != entry.contents, givesPower(entry, state) else { return nil }
            return "'\(entry.contents.spiffeID)' holds a role, is admin or downstream, or leads to what is"
        case .putDigestSet(let set):
            return powerful(set.name, state).map {
                """
                digest set '\(set.name)' says which programs have '\($0.contents.spiffeID)', which holds a role, is admin or \
                downstream, or leads to what is
                """
            }
        // Nobody gets anything by what is taken away; and a set that is in use stays.
        case .delete, .deleteDigestSet: return nil
        }
    }

    /// An entry that gives power and goes by a digest set, if there is one.
    private func powerful(_ digestSet: String, _ state: borrowing GuardedEntries) -> Entry? {
        state.users(of: digestSet).first { givesPower($0, state) }
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

    /// Whether a change of a digest set would decide who has an ID with power.
    package func leadsToPower(digestSet name: String) -> Bool { state.withLock { powerful(name, $0) != nil } }

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

    /// Why changes together would be more than the scopes have room for; nil when they would not.
    private func overflow(
        of scopes: [RegistrationScope], by changes: [EntryChange], _ state: borrowing GuardedEntries
    ) -> String? {
        guard scopes.contains(where: { $0.maximumEntries != nil }) else { return nil }
        var added: [RegistrationScope: Int] = [:]
        for change in changes {
            let (before, after): (EntryContents?, EntryContents?) =
                switch change {
                case .put(let entry): (state[entry.id]?.contents, entry.contents)
                case .delete(let id): (state[id]?.contents, nil)
                case .putDigestSet, .deleteDigestSet: (nil, nil)
                }
            if let home = before.flatMap({ Self.home(of: $0, in: scopes) }) { added[home, default: 0] -= 1 }
            if let home = after.flatMap({ Self.home(of: $0, in: scopes) }) { added[home, default: 0] += 1 }
        }
        for (scope, change) in added where change > 0 {
            guard let limit = scope.maximumEntries, let held = state.count(in: scope), held + change > limit else {
                continue
            }
            return "\(held) of at most \(limit) entries are there already"
        }
        return nil
    }

    /// The scope that an entry is charged to: the first that holds it.
    private static func home(of contents: EntryContents, in scopes: [RegistrationScope]) -> RegistrationScope? {
        scopes.first { $0.violation(of: contents) == nil }
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
