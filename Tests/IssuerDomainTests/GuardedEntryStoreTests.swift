import Foundation
import IssuerDomain
import SPIFFE
import StoreContract
import TestSupport
import Testing

@Suite("Who gets power by an entry")
struct GuardedEntryStoreTests {
    private static func bound<Value>(_ body: () async throws -> Value) async throws -> Value {
        let scope = RegistrationScope(prefixes: [try Sample.id("/team-a")])
        return try await RegistrationScope.$binding.withValue([scope], operation: body)
    }

    private static func isOutside(_ error: any Error) -> Bool {
        if case StoreError.outsideScope? = error as? StoreError { true } else { false }
    }

    private static func needsTwo(_ error: any Error) -> Bool {
        if case StoreError.needsSecondPerson? = error as? StoreError { true } else { false }
    }

    @Test("In its scope a registrar names nobody who holds power: by an entry, even one not in force, or by a grant")
    func powers() async throws {
        let store = GuardedEntryStore(MemoryStore(), named: [try Sample.id("/team-a/named")])
        for (number, path) in ["/team-a/admin", "/team-a/downstream", "/team-a/later"].enumerated() {
            var entry = try Sample.entry("p\(number)", path: path)
            entry.contents.isAdmin = path != "/team-a/downstream"
            entry.contents.isDownstream = path == "/team-a/downstream"
            if path == "/team-a/later" { entry.contents.details.notBefore = Sample.start + 1_000_000 }
            _ = try await store.apply([.put(entry)])
        }
        try await Self.bound {
            for path in ["/team-a/admin", "/team-a/downstream", "/team-a/later", "/team-a/named"] {
                let change = EntryChange.put(try Sample.entry("new", path: path, selectors: ["unix:uid:7"]))
                await #expect("\(path)") { try await store.apply([change]) } throws: { Self.isOutside($0) }
            }
            _ = try await store.apply([.put(try Sample.entry("new", path: "/team-a/free"))])
        }
        #expect(store.holdsPower(try Sample.id("/team-a/named")))
        #expect(!store.holdsPower(try Sample.id("/team-a/free")))
    }

    @Test("A scope that is full takes no more, one by one or in a batch, until something in it goes; others are free")
    func bounded() async throws {
        let scope = RegistrationScope(prefixes: [try Sample.id("/team-a")], maximumEntries: 3)
        let store = GuardedEntryStore(MemoryStore(), scopes: [scope])
        func bound<Value>(_ body: () async throws -> Value) async throws -> Value {
            try await RegistrationScope.$binding.withValue([scope], operation: body)
        }
        func put(_ number: Int, path: String? = nil, selector: String = "unix:uid:1") throws -> EntryChange {
            .put(try Sample.entry("e\(number)", path: path ?? "/team-a/\(number)", selectors: [selector]))
        }
        // What others have put there takes room as well.
        _ = try await store.apply([try put(0), try put(9, path: "/team-b/web")])
        try await bound {
            await #expect { try await store.apply([try put(1), try put(2), try put(3)]) } throws: { Self.isOutside($0) }
            _ = try await store.apply([try put(1), try put(2)])
            let objection = store.objection(to: try put(3))
            #expect(objection.map { "\($0)" }?.contains("3 of at most 3") == true)
            await #expect { try await store.apply([try put(3)]) } throws: { Self.isOutside($0) }
            _ = try await store.apply([try put(2, selector: "unix:uid:2")])
            _ = try await store.apply([.delete(id: "e1"), try put(3)])
            await #expect { try await store.apply([try put(4)]) } throws: { Self.isOutside($0) }
        }
        _ = try await store.apply([try put(4)])
        let fresh = GuardedEntryStore(MemoryStore(), scopes: [scope])
        _ = try await fresh.loadEntries()
        try await bound { _ = try await fresh.apply([try put(1)]) }
    }

    @Test("Nor an ID above an entry outside of the scope, however far above")
    func parents() async throws {
        let store = GuardedEntryStore(MemoryStore())
        _ = try await store.apply([
            .put(try Sample.entry("node", path: "/team-a/node")),
            .put(try Sample.entry("inner", path: "/team-a/inner", parent: "/team-a/node")),
            .put(try Sample.entry("theirs", path: "/team-b/web", parent: "/team-a/inner")),
        ])
        try await Self.bound {
            for path in ["/team-a/node", "/team-a/inner"] {
                let change = EntryChange.put(try Sample.entry("new", path: path, selectors: ["unix:uid:7"]))
                await #expect("\(path)") { try await store.apply([change]) } throws: { Self.isOutside($0) }
            }
            _ = try await store.apply([.put(try Sample.entry("leaf", path: "/team-a/leaf", parent: "/team-a/node"))])
        }
        _ = try await store.apply([.delete(id: "theirs")])
        try await Self.bound {
            _ = try await store.apply([.put(try Sample.entry("new", path: "/team-a/node", selectors: ["unix:uid:7"]))])
        }
    }

    @Test("Entries that go with a bundle take their power with them, and only whoever may change them deletes it")
    func federation() async throws {
        for mode in [BundleDeletion.delete, .dissociate] {
            let (store, feed) = (MemoryStore(), RevisionFeed())
            let guarded = GuardedEntryStore(store)
            let federation = try await FederationRegistrar(
                trustDomain: Sample.trustDomain(), store: GuardedFederationStore(store, entries: guarded), feed: feed)
            let entries = try await EntryRegistrar(trustDomain: Sample.trustDomain(), store: guarded, feed: feed)
            let domain = try TrustDomain("a.example")
            let bundle = try FederatedBundle(
                TrustBundle(
                    trustDomain: domain, x509Authorities: [TestCA("a.example").certificate], jwtAuthorities: [:],
                    sequence: 1, refreshHint: nil))
            _ = try await federation.set([bundle])
            var contents = try Given.contents("/boss")
            contents.isAdmin = true
            contents.federatesWith = [domain]
            _ = try await entries.create(
                [EntryDraft(contents: contents)], now: Given.start, using: SeededEntropy())
            #expect(guarded.holdsAdminEntry(contents.spiffeID, now: Given.start))
            try await Self.bound {
                _ = await #expect("\(mode)") {
                    try await federation.deleteBundles(of: [domain], mode: mode, entries: entries)
                } throws: { Self.isOutside($0) }
            }
            #expect(federation.holdsBundle(of: domain))
            _ = try await federation.deleteBundles(of: [domain], mode: mode, entries: entries)
            #expect(!federation.holdsBundle(of: domain))
            #expect(guarded.holdsAdminEntry(contents.spiffeID, now: Given.start) == (mode == .dissociate))
        }
    }

    @Test("Where two must agree, one person neither gives power nor changes who has it, and nothing else needs two")
    func secondPerson() async throws {
        let store = GuardedEntryStore(
            MemoryStore(), named: [try Sample.id("/keys")], needsSecondPerson: true)
        var boss = try Sample.entry("boss", path: "/boss", parent: "/node")
        boss.contents.isAdmin = true
        var below = try Sample.entry("below", path: "/below")
        below.contents.isDownstream = true
        let changes = [boss, below, try Sample.entry("keys", path: "/keys")]
        for entry in changes {
            await #expect("\(entry.id)") { try await store.apply([.put(entry)]) } throws: { Self.needsTwo($0) }
        }
        _ = try await SecondPerson.$hasAgreed.withValue(true) { try await store.apply(changes.map { .put($0) }) }
        var moved = boss
        moved.contents.selectors = [try Selector(parsing: "unix:uid:7")]
        for entry in [moved, try Sample.entry("alias", path: "/node"), try Sample.entry("other", path: "/boss")] {
            await #expect("\(entry.id)") { try await store.apply([.put(entry)]) } throws: { Self.needsTwo($0) }
        }
        boss.revision += 1
        _ = try await store.apply([.put(boss), .put(try Sample.entry("web", path: "/web"))])
        #expect(!store.mayBeMinted(try Sample.id("/boss")))
        #expect(!store.mayBeMinted(try Sample.id("/keys")))
        #expect(store.mayBeMinted(try Sample.id("/web")))
        #expect(GuardedEntryStore(MemoryStore(), named: [try Sample.id("/keys")]).mayBeMinted(try Sample.id("/keys")))
    }

    @Test("What lies outside of the scope is refused item by item, and the rest is done")
    func items() async throws {
        let store = GuardedEntryStore(MemoryStore())
        let entries = try await EntryRegistrar(trustDomain: Sample.trustDomain(), store: store, feed: RevisionFeed())
        let drafts = try ["/team-a/one", "/team-b/two", "/team-a/three"].map {
            EntryDraft(contents: try Given.contents($0))
        }
        let results = try await Self.bound {
            try await entries.create(drafts, now: Given.start, using: SeededEntropy())
        }
        #expect(results.map { (try? $0.get()) != nil } == [true, false, true])
        guard case .failure(.objection(.outsideScope)) = results[1] else {
            Issue.record("\(results[1])")
            return
        }
        let theirs = try #require(
            try await entries.create([drafts[1]], now: Given.start, using: SeededEntropy(9)).first?.get())
        let own = try results[0].get()
        let deletions = try await Self.bound { try await entries.delete([theirs.id, own.id]) }
        #expect(deletions.map { (try? $0.get()) != nil } == [false, true])
        let last = try results[2].get()
        let patches = [theirs.id, last.id].map { EntryPatch(id: $0) { $0.hint = "x" } }
        let updates = try await Self.bound { try await entries.update(patches, now: Given.start) }
        #expect(updates.map { (try? $0.get()) != nil } == [false, true])
        #expect(try await entries.delete([""]) == [.failure(.invalidEntryID)])
    }
}

@Suite("Serial numbers as the public API writes them")
struct SerialNumberTextTests {
    @Test(
        "Hex and decimal say the same number",
        arguments: [
            ("00", "0"), ("ff", "255"), ("0100", "256"),
            ("40aa00000000000000000000000000ff", "85953282196185536562693836233909469439"),
        ])
    func bothWays(hex: String, decimal: String) {
        #expect(SerialNumber.hex(decimal: decimal) == hex)
        #expect(SerialNumber.decimal(hex: hex) == decimal)
    }

    @Test(
        "What is no number, or too long for one, is none",
        arguments: ["", "x", "-1", "1 ", "٣", String(repeating: "9", count: 50)])
    func refused(text: String) {
        #expect(SerialNumber.hex(decimal: text) == nil)
        #expect(SerialNumber.decimal(hex: text) == nil)
    }
}
