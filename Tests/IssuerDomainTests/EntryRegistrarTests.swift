import Foundation
import IssuerDomain
import SPIFFE
import StoreContract
import TestSupport
import Testing

@Suite("Registering entries")
struct EntryRegistrarTests {
    private let store = MemoryStore()
    private let feed = RevisionFeed()

    @Test("A created entry is durable, indexed and announced, and gets an ID of its own")
    func creates() async throws {
        let registrar = try await registrar()
        let entry = try #require(try await registrar.create([draft("/web")]).first?.get())
        #expect(entry.revision == 0)
        #expect(entry.createdAt == Given.start)
        #expect(!entry.id.isEmpty)
        #expect(registrar.read { $0[entry.id] } == entry)
        #expect(try await store.loadEntries().entries == [entry])
        #expect(feed.revision == 1)
    }

    @Test("The time of creation is kept to the second, as the API shows it")
    func wholeSeconds() async throws {
        let registrar = try await registrar()
        let results = try await registrar.create([draft("/web")], now: Given.start + 0.75, using: SeededEntropy())
        #expect(try results.first?.get().createdAt == Given.start)
    }

    @Test("A restart finds every entry and the revision")
    func restarts() async throws {
        let before = try await registrar()
        let results = try await before.create([draft("/a"), draft("/b")])
        let entries = try results.map { try $0.get() }
        let feed = RevisionFeed()
        let after = try await EntryRegistrar(trustDomain: Given.trustDomain(), store: store, feed: feed)
        #expect(Set(after.read { Array($0.entries) }) == Set(entries))
        #expect(after.read { $0.revision } == 2)
        #expect(feed.revision == 2)
    }

    @Test("Each draft of a batch stands on its own: the sound ones are created in one write")
    func mixedBatch() async throws {
        let registrar = try await registrar()
        let results = try await registrar.create([
            draft("/a"), draft("/spire/agent/x"), draft("/b", id: "chosen"), draft("/c", id: "not/allowed"),
            draft("/d", id: "chosen"), draft("/a"),
        ])
        try #require(results.count == 6)
        let first = try results[0].get()
        #expect(results[1] == .failure(.reservedSPIFFEID))
        #expect(try results[2].get().id == "chosen")
        #expect(results[3] == .failure(.invalidEntryID))
        #expect(results[4] == .failure(.idTaken))
        #expect(results[5] == .failure(.exists(first)), "a duplicate within the batch names the first")
        #expect(registrar.read { $0.count } == 2)
        #expect(store.writes == 1)
        #expect(feed.revision == 2)
    }

    @Test("An entry that says the same is refused, with the one that is there")
    func duplicates() async throws {
        let registrar = try await registrar()
        let first = try #require(try await registrar.create([draft("/a")]).first?.get())
        var contents = try Given.contents("/a")
        contents.hint = "other settings do not make it another entry"
        let results = try await registrar.create([EntryDraft(id: "x", contents: contents)])
        #expect(results == [.failure(.exists(first))])
        #expect(store.writes == 1, "nothing to write, nothing written")
    }

    @Test("Of concurrent creates of one key one wins, and all others are told its entry")
    func concurrentCreates() async throws {
        let registrar = try await registrar()
        let results = try await withThrowingTaskGroup(of: Result<Entry, EntryError>?.self) { group in
            for seed in 0..<40 {
                group.addTask {
                    try await registrar.create(
                        [draft("/a")], now: Given.start, using: SeededEntropy(UInt64(seed) &+ 1000)
                    ).first
                }
            }
            return try await group.reduce(into: [Result<Entry, EntryError>]()) {
                if let result = $1 { $0.append(result) }
            }
        }
        let winners = results.compactMap { try? $0.get() }
        try #require(winners.count == 1)
        #expect(results.count == 40)
        #expect(results.filter { $0 == .failure(.exists(winners[0])) }.count == 39)
        #expect(try await store.loadEntries().entries == winners)
        #expect(feed.revision == 1)
    }

    @Test("A store that fails leaves index and feed as they were, and the next call works")
    func failingStore() async throws {
        let registrar = try await registrar()
        let entry = try #require(try await registrar.create([draft("/a", id: "a")]).first?.get())
        store.failWrites(with: .full(detail: "disk"))
        await #expect(throws: StoreError.full(detail: "disk")) { try await registrar.create([draft("/b")]) }
        await #expect(throws: StoreError.full(detail: "disk")) {
            try await registrar.update([EntryPatch(id: "a") { $0.hint = "new" }], now: Given.start)
        }
        await #expect(throws: StoreError.full(detail: "disk")) { try await registrar.delete(["a"]) }
        #expect(registrar.read { Array($0.entries) } == [entry])
        #expect(registrar.read { $0.revision } == 1)
        #expect(feed.revision == 1)
        store.failWrites(with: nil)
        #expect(try await registrar.create([draft("/b")]).count == 1)
        #expect(feed.revision == 2, "a failed write leaves no gap")
    }

    @Test("Nobody sees an entry before it is durable")
    func durableFirst() async throws {
        let registrar = try await registrar()
        store.gate.shut()
        async let creation = registrar.create([draft("/a", id: "a")], now: Given.start, using: SeededEntropy())
        await store.gate.waitUntilHeld()
        #expect(registrar.read { $0["a"] } == nil)
        #expect(feed.revision == 0)
        store.gate.open()
        #expect(try await creation.count == 1)
        #expect(registrar.read { $0["a"] } != nil)
    }

    @Test("An update changes what it names, counts the revision and keeps the rest")
    func updates() async throws {
        let registrar = try await registrar()
        let old = try #require(try await registrar.create([draft("/a", id: "a")]).first?.get())
        let results = try await registrar.update([EntryPatch(id: "a") { $0.hint = "new" }], now: Given.start + 60)
        let new = try #require(try results.first?.get())
        #expect(new.contents.hint == "new")
        #expect(new.revision == 1)
        #expect(new.createdAt == old.createdAt)
        #expect(new.contents.key == old.contents.key)
        #expect(try await store.loadEntries().entries == [new])
        #expect(feed.revision == 2)
    }

    @Test("Updates in a batch stand on their own, and later ones see what earlier ones did")
    func batchOfUpdates() async throws {
        let registrar = try await registrar()
        _ = try await registrar.create([draft("/a", id: "a"), draft("/b", id: "b")])
        let (a, b, c) = (try Given.id("/a"), try Given.id("/b"), try Given.id("/c"))
        let results = try await registrar.update(
            [
                EntryPatch(id: "missing") { $0.hint = "x" }, EntryPatch(id: "b") { $0.spiffeID = a },
                EntryPatch(id: "a") { $0.spiffeID = c }, EntryPatch(id: "b") { $0.spiffeID = a },
                EntryPatch(id: "b") { $0.selectors = [] }, EntryPatch(id: "b") { $0.hint = "twice" },
            ], now: Given.start)
        try #require(results.count == 6)
        #expect(results[0] == .failure(.notFound(id: "missing")))
        guard case .failure(.exists(let twin)) = results[1] else {
            Issue.record("expected the twin, got \(results[1])")
            return
        }
        #expect(twin.id == "a")
        #expect(try results[2].get().contents.spiffeID == c)
        #expect(try results[3].get().contents.spiffeID == a, "the key is free once 'a' has moved")
        #expect(results[4] == .failure(.noSelectors))
        #expect(try results[5].get().revision == 2)
        #expect(registrar.read { $0["b"]?.contents.hint } == "twice")
        #expect(registrar.read { $0["b"]?.contents.spiffeID } != b)
    }

    @Test("An update keeps every rule that a creation keeps")
    func updateKeepsRules() async throws {
        let registrar = try await registrar()
        _ = try await registrar.create([draft("/a", id: "a")])
        let foreign = try SPIFFEID("spiffe://other.example/x")
        let results = try await registrar.update(
            [
                EntryPatch(id: "a") { $0.spiffeID = foreign }, EntryPatch(id: "a") { $0.expiresAt = Given.start },
                EntryPatch(id: "a") { $0.dnsNames = ["not a name"] },
            ], now: Given.start)
        let expected = try Given.trustDomain()
        #expect(
            results == [
                .failure(.foreignTrustDomain(field: "SPIFFE ID", expected: expected)), .failure(.alreadyExpired),
                .failure(.invalidDNSName("not a name")),
            ])
        #expect(registrar.read { $0["a"]?.revision } == 0)
        #expect(store.writes == 1)
    }

    @Test("Deleting tells each ID apart, also one that is named twice")
    func deletes() async throws {
        let registrar = try await registrar()
        _ = try await registrar.create([draft("/a", id: "a"), draft("/b", id: "b")])
        let results = try await registrar.delete(["a", "missing", "a"])
        #expect(results == [.success("a"), .failure(.notFound(id: "missing")), .failure(.notFound(id: "a"))])
        #expect(registrar.read { $0["a"] } == nil)
        #expect(try await store.loadEntries().entries.map(\.id) == ["b"])
        #expect(feed.revision == 3)
    }

    @Test("IDs are drawn from the generator, so equal seeds give equal IDs and others do not")
    func drawnIDs() async throws {
        let ids = try await ([1, 1, 2] as [UInt64]).asyncMap { seed in
            let registrar = try await EntryRegistrar(
                trustDomain: Given.trustDomain(), store: MemoryStore(), feed: RevisionFeed())
            return try await registrar.create([draft("/a")], now: Given.start, using: SeededEntropy(seed)).map {
                try $0.get().id
            }
        }
        #expect(ids[0] == ids[1])
        #expect(ids[0] != ids[2])
    }

    private func registrar() async throws -> EntryRegistrar {
        try await EntryRegistrar(trustDomain: Given.trustDomain(), store: store, feed: feed)
    }
}

private func draft(_ path: String, id: String? = nil) throws -> EntryDraft {
    EntryDraft(id: id, contents: try Given.contents(path))
}

extension EntryRegistrar {
    fileprivate func create(_ drafts: [EntryDraft]) async throws -> [Result<Entry, EntryError>] {
        try await create(
            drafts, now: Given.start, using: SeededEntropy(UInt64(drafts.count) &+ read { $0.revision } &* 100))
    }
}

extension Array {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async throws -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
