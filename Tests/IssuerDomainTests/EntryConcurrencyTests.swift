import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import Synchronization
import TestSupport
import Testing

/// Keeps what it is told in order, beside a store that works.
private final class RecordingStore: EntryStore {
    private let inner = MemoryStore()
    private let log = Mutex<[[EntryChange]]>([])

    var batches: [[EntryChange]] { log.withLock { $0 } }

    func loadEntries() async throws(StoreError) -> (entries: [Entry], revision: UInt64) {
        try await inner.loadEntries()
    }

    func loadDigestSets() async throws(StoreError) -> [DigestSet] { try await inner.loadDigestSets() }

    func apply(_ changes: [EntryChange]) async throws(StoreError) -> UInt64 {
        let revision = try await inner.apply(changes)
        log.withLock { $0.append(changes) }
        return revision
    }
}

@Suite("Many who register at once")
struct EntryConcurrencyTests {
    private static let (tasks, operations) = (8, 400)

    @Test(
        "Index, store and a plain replay of the log agree, whatever is done at once",
        arguments: 1...4 as ClosedRange<UInt64>)
    func agree(seed: UInt64) async throws {
        let store = RecordingStore()
        let registrar = try await EntryRegistrar(trustDomain: Given.trustDomain(), store: store, feed: RevisionFeed())
        _ = try await registrar.createDigestSet(
            name: "release", keeps: 1, grace: .seconds(60), digests: [String(repeating: "0", count: 64)],
            now: Given.start)
        let done = try await withThrowingTaskGroup(of: Int.self) { group in
            for task in 0..<Self.tasks {
                group.addTask {
                    var entropy = SeededEntropy(seed &* 1000 &+ UInt64(task))
                    var count = 0
                    for _ in 0..<Self.operations { count += try await step(registrar, task, using: &entropy) }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        var model: [String: Entry] = [:]
        var sets: [String: DigestSet] = [:]
        var revision: UInt64 = 0
        for batch in store.batches {
            for change in batch {
                revision += 1
                switch change {
                case .put(let entry):
                    if let old = model[entry.id] { #expect(entry.revision == old.revision + 1) }
                    model[entry.id] = entry
                case .delete(let id): #expect(model.removeValue(forKey: id) != nil, "deleted once")
                case .putDigestSet(let set): sets[set.name] = set
                case .deleteDigestSet(let name): sets[name] = nil
                }
            }
            #expect(Set(model.values.map(\.contents.key)).count == model.count, "keys are unique after each batch")
        }
        let loaded = try await store.loadEntries()
        #expect(Set(loaded.entries) == Set(model.values))
        #expect(loaded.revision == revision)
        let index = registrar.read { $0 }
        #expect(Set(index.entries) == Set(model.values))
        #expect(index.revision == revision)
        #expect(index.digestSets == sets)
        for entry in model.values {
            #expect(index[entry.id] == entry)
            #expect(index.entry(with: entry.contents.key) == entry)
        }
        for parent in Self.parents {
            let agent = try Given.id(parent)
            let expected = Set(
                model.values.filter { $0.contents.parentID == agent && $0.contents.isInForce(at: Given.start) }.map(
                    \.id))
            #expect(Set(index.authorized(for: agent, now: Given.start).map(\.id)).isSuperset(of: expected))
        }
        for name in sets.keys {
            let users = model.values.filter { $0.contents.details.rules.digestSets.contains(name) }.map(\.id)
            #expect(Set(index.entries(using: name).map(\.id)) == Set(users))
        }
        let fresh = EntryIndex(entries: loaded.entries, revision: loaded.revision)
        for parent in Self.parents {
            let agent = try Given.id(parent)
            #expect(
                fresh.authorized(for: agent, now: Given.start) == index.authorized(for: agent, now: Given.start))
        }
        #expect(done > Self.tasks * Self.operations / 4, "\(done) operations changed something")
    }

    private static let parents = ["/spire/agent/one", "/spire/agent/two", "/w/0", "/w/1"]

    /// Does one random thing; returns how many entries it changed.
    private func step(
        _ registrar: EntryRegistrar, _ task: Int, using entropy: inout SeededEntropy
    ) async throws -> Int {
        let id = "e\(Int.random(in: 0..<60, using: &entropy))"
        let contents = try random(using: &entropy)
        switch Int.random(in: 0..<10, using: &entropy) {
        case 0..<4:
            return try await registrar.create(
                [EntryDraft(id: id, contents: contents), EntryDraft(contents: try random(using: &entropy))],
                now: Given.start, using: SeededEntropy(UInt64.random(in: 0..<(.max), using: &entropy))
            ).count { (try? $0.get()) != nil }
        case 4..<7:
            return try await registrar.update([EntryPatch(id: id) { $0 = contents }], now: Given.start)
                .count { (try? $0.get()) != nil }
        case 7:
            let ids = registrar.read { index in index.entries.map(\.id).sorted().prefix(3).map(\.self) }
            return try await registrar.delete(ids + [id]).count { (try? $0.get()) != nil }
        case 8:
            let outcome = try await registrar.apply(
                Declaration(
                    entries: [
                        DeclaredEntry(source: "f:1", id: "d\(task)", contents: contents, terms: .init()),
                        DeclaredEntry(source: "f:2", id: nil, contents: try random(using: &entropy), terms: .init()),
                    ], keeper: "team-\(task)", prunes: true), isDryRun: false, now: Given.start,
                using: SeededEntropy(UInt64.random(in: 0..<(.max), using: &entropy)))
            return outcome.isApplied ? outcome.plan.steps.count : 0
        default:
            let digest = String(repeating: "\(Int.random(in: 0..<10, using: &entropy))", count: 64)
            return try await registrar.addVersion(
                to: "release", digests: [digest], dropsOthers: false, now: Given.start
            ).map { _ in 1 }.get()
        }
    }

    private func random(using entropy: inout SeededEntropy) throws -> EntryContents {
        let uid = Int.random(in: 0..<20, using: &entropy)
        var contents = try Given.contents(
            "/w/\(Int.random(in: 0..<12, using: &entropy))",
            parent: Self.parents[Int.random(in: 0..<Self.parents.count, using: &entropy)],
            selectors: ["unix:uid:\(uid)"])
        contents.details.isDisabled = Int.random(in: 0..<8, using: &entropy) == 0
        if Int.random(in: 0..<4, using: &entropy) == 0 { contents.details.rules.digestSets = ["release"] }
        return contents
    }
}
