internal import SPIFFE

/// Every entry, found by what a change of it could lead to.
struct GuardedEntries {
    private var byID: [String: Entry] = [:]
    /// The IDs of the entries that give power, by whom they give it to.
    private var powers: [SPIFFEID: Set<String>] = [:]
    private var byParent: [SPIFFEID: Set<String>] = [:]
    private var byDigestSet: [String: Set<String>] = [:]
    /// How many entries lie in each scope that bounds their number.
    private var counts: [RegistrationScope: Int]

    /// Creates an index of nothing.
    ///
    /// - Parameter scopes: Those of which entries are counted.
    init(counting scopes: Set<RegistrationScope> = []) {
        counts = Dictionary(uniqueKeysWithValues: scopes.map { ($0, 0) })
    }

    /// How many entries lie in a scope; nil for one that is not counted.
    func count(in scope: RegistrationScope) -> Int? { counts[scope] }

    subscript(id: String) -> Entry? { byID[id] }

    mutating func put(_ entry: Entry) {
        remove(entry.id)
        byID[entry.id] = entry
        byParent[entry.contents.parentID, default: []].insert(entry.id)
        for name in entry.contents.details.rules.digestSets { byDigestSet[name, default: []].insert(entry.id) }
        count(entry, 1)
        guard entry.contents.isAdmin || entry.contents.isDownstream else { return }
        powers[entry.contents.spiffeID, default: []].insert(entry.id)
    }

    mutating func remove(_ id: String) {
        guard let entry = byID.removeValue(forKey: id) else { return }
        Self.remove(id, of: entry.contents.parentID, from: &byParent)
        Self.remove(id, of: entry.contents.spiffeID, from: &powers)
        for name in entry.contents.details.rules.digestSets { Self.remove(id, of: name, from: &byDigestSet) }
        count(entry, -1)
    }

    private mutating func count(_ entry: Entry, _ change: Int) {
        for scope in counts.keys where scope.violation(of: entry.contents) == nil { counts[scope]? += change }
    }

    /// The entries that give power to an ID.
    func powers(of id: SPIFFEID) -> [Entry] { (powers[id] ?? []).compactMap { byID[$0] } }

    /// The entries that go by a digest set, by ID.
    func users(of digestSet: String) -> [Entry] {
        (byDigestSet[digestSet] ?? []).sorted().compactMap { byID[$0] }
    }

    /// The entries that whoever has an ID may serve: those under it and, transitively, under the identities of those.
    func below(_ id: SPIFFEID) -> [Entry] {
        var found: [Entry] = []
        var seen: Set<SPIFFEID> = [id]
        var frontier = [id]
        while let parent = frontier.popLast() {
            for entry in (byParent[parent] ?? []).compactMap({ byID[$0] }) {
                found.append(entry)
                if seen.insert(entry.contents.spiffeID).inserted { frontier.append(entry.contents.spiffeID) }
            }
        }
        return found
    }

    private static func remove<Key>(_ id: String, of key: Key, from sets: inout [Key: Set<String>]) {
        guard var ids = sets[key] else { return }
        ids.remove(id)
        sets[key] = ids.isEmpty ? nil : ids
    }
}
