package import Foundation
package import SPIFFE

/// Every entry in memory, found by ID, by parent and by key; the only thing the hot path reads.
package struct EntryIndex: Sendable {
    private(set) var byID: [String: Entry] = [:]
    private(set) var idsByParent: [SPIFFEID: Set<String>] = [:]
    private var idsByIdentity: [SPIFFEID: Set<String>] = [:]
    private var idByKey: [EntryKey: String] = [:]
    private var idsByDigestSet: [String: Set<String>] = [:]
    /// Digest sets by name.
    package private(set) var digestSets: [String: DigestSet] = [:]

    /// The number of the last change that is in here.
    package private(set) var revision: UInt64

    /// Builds the index of a store's contents.
    package init(entries: some Sequence<Entry> = [], digestSets: [DigestSet] = [], revision: UInt64 = 0) {
        self.revision = revision
        for set in digestSets { self.digestSets[set.name] = set }
        for entry in entries { insert(entry) }
    }

    /// How many entries there are.
    package var count: Int { byID.count }

    /// The entry with an ID.
    package subscript(id: String) -> Entry? { byID[id] }

    /// The entry that already says the same, if any.
    package func entry(with key: EntryKey) -> Entry? { idByKey[key].flatMap { byID[$0] } }

    /// The entries that go by a digest set, by ID.
    package func entries(using digestSet: String) -> [Entry] {
        (idsByDigestSet[digestSet] ?? []).sorted().compactMap { byID[$0] }
    }

    /// Every entry, in no order.
    package var entries: some Collection<Entry> { byID.values }

    /// Takes in changes that the store has made durable.
    ///
    /// - Parameters:
    ///   - changes: The changes, in order.
    ///   - revision: The number of the last of them.
    package mutating func apply(_ changes: [EntryChange], revision: UInt64) {
        for change in changes {
            switch change {
            case .put(let entry):
                remove(entry.id)
                insert(entry)
            case .delete(let id): remove(id)
            case .putDigestSet(let set): digestSets[set.name] = set
            case .deleteDigestSet(let name): digestSets[name] = nil
            }
        }
        self.revision = revision
    }

    /// What an agent may serve: the entries under it and, transitively, under the identities of those.
    ///
    /// - Parameters:
    ///   - agentID: The agent.
    ///   - now: Entries that do not hold then are left out.
    /// - Returns: Oldest first.
    package func authorized(for agentID: SPIFFEID, now: Date) -> [Entry] { authorized(under: [agentID], now: now) }

    /// What may be served by whoever has all of some identities; see ``authorized(for:now:)``.
    func authorized(under identities: [SPIFFEID], now: Date) -> [Entry] {
        var found: [Entry] = []
        var seen = Set(identities)
        var frontier = identities
        while let parent = frontier.popLast() {
            for id in idsByParent[parent] ?? [] {
                guard let entry = byID[id], entry.contents.isInForce(at: now) else { continue }
                found.append(entry)
                if seen.insert(entry.contents.spiffeID).inserted { frontier.append(entry.contents.spiffeID) }
            }
        }
        return found.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    }

    /// Whether an agent may serve one entry, without gathering all of them.
    ///
    /// - Parameters:
    ///   - agentID: The agent.
    ///   - entry: The entry asked for.
    ///   - now: An entry that does not hold then is nobody's.
    /// - Returns: True when the entry is among those of ``authorized(for:now:)``.
    package func isAuthorized(_ agentID: SPIFFEID, for entry: Entry, now: Date) -> Bool {
        permission(under: [agentID: .distantFuture], for: entry, now: now) != nil
    }

    /// Until when whoever has all of some identities may serve one entry.
    ///
    /// Goes up from the entry, where there are few, and not down from the agent, where there can be thousands. Of several
    /// ways up the one counts that lasts longest, and a way lasts until the first entry on it ends; the end of the entry
    /// itself is left out.
    ///
    /// - Parameters:
    ///   - identities: Until when each is had.
    ///   - entry: The entry asked for.
    ///   - now: Entries that do not hold then are no way.
    /// - Returns: `distantFuture` for a way without an end; nil when there is no way.
    func permission(under identities: [SPIFFEID: Date], for entry: Entry, now: Date) -> Date? {
        guard entry.contents.isInForce(at: now) else { return nil }
        var found: Date?
        var best: [SPIFFEID: Date] = [entry.contents.parentID: .distantFuture]
        var frontier = [entry.contents.parentID]
        while let identity = frontier.popLast() {
            guard let end = best[identity], end > found ?? .distantPast else { continue }
            if let held = identities[identity] { found = max(found ?? .distantPast, min(end, held)) }
            guard found != .distantFuture else { return found }
            for id in idsByIdentity[identity] ?? [] {
                guard let holder = byID[id], holder.contents.isInForce(at: now) else { continue }
                let reach = min(end, holder.contents.expiresAt ?? .distantFuture)
                if let known = best[holder.contents.parentID], known >= reach { continue }
                best[holder.contents.parentID] = reach
                frontier.append(holder.contents.parentID)
            }
        }
        return found
    }

    /// The entries that give an identity, in no order.
    func entries(of identity: SPIFFEID) -> [Entry] { (idsByIdentity[identity] ?? []).compactMap { byID[$0] } }

    /// Refuses contents that go by a digest set which is not there.
    ///
    /// - Throws: `digestSetMissing`.
    func requireDigestSets(of contents: EntryContents) throws(EntryError) {
        for name in contents.details.rules.digestSets where digestSets[name] == nil {
            throw .digestSetMissing(name: name)
        }
    }

    private mutating func insert(_ entry: Entry) {
        byID[entry.id] = entry
        idsByParent[entry.contents.parentID, default: []].insert(entry.id)
        idsByIdentity[entry.contents.spiffeID, default: []].insert(entry.id)
        idByKey[entry.contents.key] = entry.id
        for name in entry.contents.details.rules.digestSets { idsByDigestSet[name, default: []].insert(entry.id) }
    }

    private mutating func remove(_ id: String) {
        guard let entry = byID.removeValue(forKey: id) else { return }
        idsByParent[entry.contents.parentID]?.remove(id)
        if idsByParent[entry.contents.parentID]?.isEmpty == true { idsByParent[entry.contents.parentID] = nil }
        idsByIdentity[entry.contents.spiffeID]?.remove(id)
        if idsByIdentity[entry.contents.spiffeID]?.isEmpty == true { idsByIdentity[entry.contents.spiffeID] = nil }
        if idByKey[entry.contents.key] == id { idByKey[entry.contents.key] = nil }
        for name in entry.contents.details.rules.digestSets {
            idsByDigestSet[name]?.remove(id)
            if idsByDigestSet[name]?.isEmpty == true { idsByDigestSet[name] = nil }
        }
    }
}
