package import Foundation
package import SPIFFE
internal import Synchronization

/// An entry store that lets a registrar change only what lies within its scopes, and knows which entries give power.
///
/// Stands between the registrar and the store, where every change of every API passes with what was there before.
package final class GuardedEntryStore: EntryStore {
    private struct State {
        var entries: [String: Entry] = [:]
        /// The IDs of the entries that give power, by whom they give it to.
        var powers: [SPIFFEID: Set<String>] = [:]

        mutating func put(_ entry: Entry) {
            remove(entry.id)
            entries[entry.id] = entry
            guard entry.contents.isAdmin || entry.contents.isDownstream else { return }
            powers[entry.contents.spiffeID, default: []].insert(entry.id)
        }

        mutating func remove(_ id: String) {
            guard let entry = entries.removeValue(forKey: id), var ids = powers[entry.contents.spiffeID] else { return }
            ids.remove(id)
            powers[entry.contents.spiffeID] = ids.isEmpty ? nil : ids
        }
    }

    private let store: any EntryStore
    private let state = Mutex(State())

    package init(_ store: any EntryStore) { self.store = store }

    package func loadEntries() async throws(StoreError) -> (entries: [Entry], revision: UInt64) {
        let loaded = try await store.loadEntries()
        state.withLock { state in
            state = State()
            for entry in loaded.entries { state.put(entry) }
        }
        return loaded
    }

    package func loadDigestSets() async throws(StoreError) -> [DigestSet] { try await store.loadDigestSets() }

    package func apply(_ changes: [EntryChange]) async throws(StoreError) -> UInt64 {
        if let scopes = RegistrationScope.binding {
            for change in changes { try check(change, scopes) }
        }
        let revision = try await store.apply(changes)
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

    /// Whether an SVID is that of an entry with admin set.
    package func holdsAdminEntry(_ id: SPIFFEID, now: Date) -> Bool { holds(id, now: now) { $0.isAdmin } }

    /// Whether an SVID is that of an entry with downstream set.
    package func holdsDownstreamEntry(_ id: SPIFFEID, now: Date) -> Bool { holds(id, now: now) { $0.isDownstream } }

    private func holds(_ id: SPIFFEID, now: Date, _ hasFlag: (EntryContents) -> Bool) -> Bool {
        state.withLock { state in
            (state.powers[id] ?? []).contains { number in
                guard let contents = state.entries[number]?.contents, hasFlag(contents) else { return false }
                return contents.isInForce(at: now)
            }
        }
    }

    private func before(_ id: String) -> EntryContents? { state.withLock { $0.entries[id]?.contents } }

    private func check(_ change: EntryChange, _ scopes: [RegistrationScope]) throws(StoreError) {
        switch change {
        case .put(let entry):
            if let before = before(entry.id) { try check(before, scopes) }
            try check(entry.contents, scopes)
        case .delete(let id):
            if let before = before(id) { try check(before, scopes) }
        case .putDigestSet(let set): throw Self.digestSet(set.name)
        case .deleteDigestSet(let name): throw Self.digestSet(name)
        }
    }

    /// A digest set says what entries of anybody mean.
    private static func digestSet(_ name: String) -> StoreError {
        .outsideScope(detail: "digest set '\(name)' is for those who are bound by no scope")
    }

    /// An entry must lie within one scope with all that it says.
    private func check(_ contents: EntryContents, _ scopes: [RegistrationScope]) throws(StoreError) {
        var reason = "no scope is given"
        for scope in scopes {
            guard let violation = scope.violation(of: contents) else { return }
            reason = violation
        }
        throw .outsideScope(detail: reason)
    }
}
