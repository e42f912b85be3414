import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing

@Suite("The index of entries")
struct EntryIndexTests {
    private static let agent = "/spire/agent/one"

    @Test("A permission lasts as long as the longest way up to the agent, which ends with the first entry on it")
    func permissions() throws {
        let agent = AttestedAgent(
            id: try Given.id("/spire/agent/one"), attestationType: "test", serial: "1", expiresAt: Given.start + 9999,
            selectors: try Given.selectors(["test:rack:1"]), canReattest: true)
        func entry(_ path: String, _ parent: String, _ selectors: [String], end: TimeInterval?) throws -> Entry {
            var contents = try Given.contents(path, parent: parent, selectors: selectors)
            contents.expiresAt = end.map { Given.start + $0 }
            return Entry(
                id: "\(path) \(parent) \(end ?? 0)", contents: contents, revision: 1, createdAt: Given.start)
        }
        let web = try entry("/web", "/group", ["unix:uid:1"], end: 5)
        let steps: [(Entry, Date?)] = [
            (web, nil),
            (try entry("/group", "/rack", ["unix:uid:1"], end: 300), nil),
            (try entry("/rack", "/spire/server", ["test:rack:1"], end: 60), Given.start + 60),
            (try entry("/rack", "/spire/server", ["test:rack:1"], end: 90), Given.start + 90),
            (try entry("/group", "/nobody", ["unix:uid:1"], end: nil), Given.start + 90),
            (try entry("/rack", "/spire/agent/one", ["unix:uid:1"], end: 400), Given.start + 300),
            (try entry("/nobody", "/spire/agent/one", ["unix:uid:1"], end: nil), .distantFuture),
        ]
        var held: [Entry] = []
        for (entry, end) in steps {
            held.append(entry)
            let index = EntryIndex(entries: held)
            #expect(index.permission(of: agent, for: web, now: Given.start) == end)
            #expect(index.isAuthorized(agent, for: web, now: Given.start) == (end != nil))
        }
    }

    @Test("An entry is found by ID, by key and by its agent")
    func finds() throws {
        let entry = try Sample.entry("a")
        let index = EntryIndex(entries: [entry], revision: 7)
        #expect(index.count == 1)
        #expect(index.revision == 7)
        #expect(index["a"] == entry)
        #expect(index["b"] == nil)
        #expect(index.entry(with: entry.contents.key) == entry)
        #expect(try ids(in: index, for: Self.agent) == ["a"])
        #expect(try ids(in: index, for: "/spire/agent/two").isEmpty)
    }

    @Test("An alias leads to the entries under it, however deep")
    func aliases() throws {
        let index = EntryIndex(entries: [
            try Sample.entry("alias", path: "/cluster", parent: Self.agent),
            try Sample.entry("under", path: "/team", parent: "/cluster"),
            try Sample.entry("deep", path: "/web", parent: "/team"),
            try Sample.entry("elsewhere", path: "/db", parent: "/other-cluster"),
        ])
        #expect(try Set(ids(in: index, for: Self.agent)) == ["alias", "under", "deep"])
        #expect(try ids(in: index, for: "/cluster").sorted() == ["deep", "under"])
    }

    @Test("Aliases in a circle end, and each entry comes once")
    func cycles() throws {
        let index = EntryIndex(entries: [
            try Sample.entry("a", path: "/x", parent: Self.agent), try Sample.entry("b", path: "/y", parent: "/x"),
            try Sample.entry("c", path: "/x", parent: "/y"), try Sample.entry("self", path: "/y", parent: "/y"),
        ])
        let found = try ids(in: index, for: Self.agent)
        #expect(found.sorted() == ["a", "b", "c", "self"])
    }

    @Test("An identity that several entries give is followed once")
    func diamonds() throws {
        let index = EntryIndex(entries: [
            try Sample.entry("a", path: "/x", parent: Self.agent, selectors: ["unix:uid:1"]),
            try Sample.entry("b", path: "/x", parent: Self.agent, selectors: ["unix:uid:2"]),
            try Sample.entry("leaf", path: "/leaf", parent: "/x"),
        ])
        #expect(try ids(in: index, for: Self.agent).sorted() == ["a", "b", "leaf"])
    }

    @Test(
        "An expired entry is nobody's, and nothing is reached through it",
        arguments: [(-1, false), (0, false), (1, true)])
    func expiry(offset: TimeInterval, isThere: Bool) throws {
        var alias = try Sample.entry("alias", path: "/cluster", parent: Self.agent)
        alias.contents.expiresAt = Given.start + offset
        let under = try Sample.entry("under", path: "/web", parent: "/cluster")
        let index = EntryIndex(entries: [alias, under])
        #expect(try Set(ids(in: index, for: Self.agent)) == (isThere ? ["alias", "under"] : []))
        for entry in [alias, under] {
            #expect(index.isAuthorized(try Given.id(Self.agent), for: entry, now: Given.start) == isThere)
        }
    }

    @Test("The oldest entry comes first, and ties go by ID")
    func order() throws {
        let index = EntryIndex(entries: [
            try Sample.entry("c", createdAt: Given.start), try Sample.entry("b", createdAt: Given.start + 1),
            try Sample.entry("a", createdAt: Given.start), try Sample.entry("d", createdAt: Given.start - 1),
        ])
        #expect(try ids(in: index, for: Self.agent) == ["d", "a", "c", "b"])
    }

    @Test("Changes move an entry between parents and keys and leave nothing behind")
    func moves() throws {
        let old = try Sample.entry("a", path: "/old", parent: Self.agent)
        let new = try Sample.entry("a", path: "/new", parent: "/spire/agent/two")
        var index = EntryIndex(entries: [old], revision: 1)
        index.apply([.put(new)], revision: 2)
        #expect(index.revision == 2)
        #expect(index.entry(with: old.contents.key) == nil)
        #expect(index.entry(with: new.contents.key) == new)
        #expect(try ids(in: index, for: Self.agent).isEmpty)
        #expect(try ids(in: index, for: "/spire/agent/two") == ["a"])
        index.apply([.delete(id: "a"), .delete(id: "never was")], revision: 4)
        #expect(index.count == 0)
        #expect(index.entries.isEmpty)
    }

    @Test("Under random changes the index says what a plain list says", arguments: 1...12 as ClosedRange<UInt64>)
    func agreesWithList(seed: UInt64) throws {
        var entropy = SeededEntropy(seed)
        var list: [String: Entry] = [:]
        var index = EntryIndex()
        let parents = ["/spire/agent/one", "/spire/agent/two", "/a", "/b", "/c", "/d"]
        for revision in 1...UInt64(150) {
            let id = "e\(Int.random(in: 0..<14, using: &entropy))"
            if list[id] != nil, Int.random(in: 0..<4, using: &entropy) == 0 {
                list[id] = nil
                index.apply([.delete(id: id)], revision: revision)
            } else {
                let entry = try randomEntry(id, parents: parents, using: &entropy)
                // The store keeps keys unique; so does this test.
                guard !list.values.contains(where: { $0.contents.key == entry.contents.key && $0.id != id }) else {
                    continue
                }
                list[id] = entry
                index.apply([.put(entry)], revision: revision)
            }
            #expect(index.count == list.count)
            #expect(Set(index.entries) == Set(list.values))
            for parent in parents {
                let agent = try Given.id(parent)
                let expected = reachable(from: agent, in: list)
                #expect(Set(index.authorized(for: agent, now: Given.start).map(\.id)) == expected)
                for entry in list.values {
                    #expect(
                        index.isAuthorized(agent, for: entry, now: Given.start) == expected.contains(entry.id))
                    #expect(index.entry(with: entry.contents.key) == entry)
                }
            }
        }
        #expect(index.revision > 0)
    }

    private func randomEntry(
        _ id: String, parents: [String], using entropy: inout SeededEntropy
    ) throws -> Entry {
        let paths = ["/a", "/b", "/c", "/d", "/w"]
        var entry = try Sample.entry(
            id, path: paths[Int.random(in: 0..<paths.count, using: &entropy)],
            parent: parents[Int.random(in: 0..<parents.count, using: &entropy)],
            selectors: ["unix:uid:\(Int.random(in: 0..<3, using: &entropy))"],
            createdAt: Given.start + TimeInterval(Int.random(in: 0..<9, using: &entropy)))
        let offset = Int.random(in: -1..<6, using: &entropy)
        if offset < 2 { entry.contents.expiresAt = Given.start + TimeInterval(offset) }
        return entry
    }

    /// The same question answered the slow way: widen the set of identities until nothing is added.
    private func reachable(from agent: SPIFFEID, in list: [String: Entry]) -> Set<String> {
        let alive = list.values.filter { $0.contents.expiresAt.map { $0 > Given.start } ?? true }
        var identities: Set<SPIFFEID> = [agent]
        while true {
            let found = alive.filter { identities.contains($0.contents.parentID) }
            let wider = identities.union(found.map(\.contents.spiffeID))
            if wider == identities { return Set(found.map(\.id)) }
            identities = wider
        }
    }

    private func ids(in index: EntryIndex, for path: String) throws -> [String] {
        index.authorized(for: try Given.id(path), now: Given.start).map(\.id)
    }
}
