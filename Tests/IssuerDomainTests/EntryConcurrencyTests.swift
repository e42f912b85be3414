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
        let tally = try await EntryChurn(tasks: Self.tasks, operations: Self.operations, seed: seed).run(registrar)
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
        for agent in try EntryChurn.parentIDs() {
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
        for agent in try EntryChurn.parentIDs() {
            #expect(
                fresh.authorized(for: agent, now: Given.start) == index.authorized(for: agent, now: Given.start))
        }
        #expect(tally.failed == 0 && tally.changed > Self.tasks * Self.operations / 4, "\(tally)")
    }
}
