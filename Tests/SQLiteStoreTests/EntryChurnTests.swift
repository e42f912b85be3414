import Foundation
import GRDB
import IssuerDomain
import Platform
import SPIFFE
import SQLiteStore
import StoreContract
import Synchronization
import TestSupport
import Testing

/// Fails now and then, as a full disk does, before anything is written.
private struct FillingStore: EntryStore {
    let inner: SQLiteStore
    let entropy = LockedEntropy(7)

    func loadEntries() async throws(StoreError) -> (entries: [Entry], revision: UInt64) {
        try await inner.loadEntries()
    }

    func loadDigestSets() async throws(StoreError) -> [DigestSet] { try await inner.loadDigestSets() }

    func apply(_ changes: [EntryChange]) async throws(StoreError) -> UInt64 {
        guard entropy.draw(8) != 0 else { throw .full(detail: "injected") }
        return try await inner.apply(changes)
    }
}

@Suite("Many who register at once, on disk")
struct EntryChurnTests {
    private static let (tasks, operations) = (6, 60)

    @Test(
        "Index, powers and permissions are what the store says, whatever is done at once, fails, or is given up",
        arguments: [(1, true, true), (2, true, false), (3, false, true), (4, false, false)])
    func agree(seed: UInt64, breaks: Bool, givesUp: Bool) async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            let store = try SQLiteStore(path: path, trustDomain: Sample.trustDomain())
            let named: Set = [try Sample.id("/w/3")]
            let guarded = GuardedEntryStore(
                breaks ? FillingStore(inner: store) : store, named: named, needsSecondPerson: false)
            let registrar = try await EntryRegistrar(
                trustDomain: Sample.trustDomain(), store: guarded, feed: RevisionFeed())
            while true {
                do throws(StoreError) {
                    _ = try await registrar.createDigestSet(
                        name: "release", keeps: 1, grace: .seconds(60),
                        digests: [String(repeating: "0", count: 64)], now: Sample.start)
                    break
                } catch { continue }
            }
            if breaks { try Self.breakWrites(path) }
            let tally = try await EntryChurn(
                tasks: Self.tasks, operations: Self.operations, seed: seed, givesUp: givesUp
            ).run(registrar)
            #expect(tally.changed > Self.tasks * Self.operations / 8, "\(tally)")
            #expect((tally.failed > 0) == (breaks || givesUp), "\(tally)")
            try await Self.compare(registrar, guarded, with: store)
            try store.close()
            let reopened = try SQLiteStore(path: path, trustDomain: Sample.trustDomain())
            try await Self.compare(registrar, guarded, with: reopened)
            try reopened.close()
        }
    }

    /// Makes writes fail in the middle of a transaction: between the entries of a batch, and after them all.
    private static func breakWrites(_ path: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.write { db in
            for table in ["entries", "changes"] {
                try db.execute(
                    sql: """
                        CREATE TRIGGER injected_\(table) BEFORE INSERT ON \(table) WHEN abs(random()) % 12 = 0
                        BEGIN SELECT RAISE(FAIL, 'injected'); END
                        """)
            }
        }
        try queue.close()
    }

    private static func compare(
        _ registrar: EntryRegistrar, _ guarded: GuardedEntryStore, with store: SQLiteStore
    ) async throws {
        let loaded = try await store.loadEntries()
        let sets = try await store.loadDigestSets()
        let index = registrar.read { $0 }
        #expect(Set(index.entries) == Set(loaded.entries))
        #expect(index.revision == loaded.revision)
        #expect(index.digestSets == Dictionary(uniqueKeysWithValues: sets.map { ($0.name, $0) }))
        let fresh = EntryIndex(entries: loaded.entries, digestSets: sets, revision: loaded.revision)
        for agentID in try EntryChurn.parentIDs() {
            let agent = AttestedAgent(
                id: agentID, attestationType: "join_token", serial: "1", expiresAt: Sample.start + 3600, selectors: [],
                canReattest: false)
            for time in [0, 1000, 6000] {
                let now = Sample.start + TimeInterval(time)
                #expect(fresh.authorized(for: agent, now: now) == index.authorized(for: agent, now: now))
                for entry in loaded.entries {
                    #expect(
                        fresh.permission(of: agent, for: entry, now: now)
                            == index.permission(of: agent, for: entry, now: now), "\(entry.id) at \(time)")
                }
            }
        }
        let named: Set = [try Sample.id("/w/3")]
        let powers = GuardedEntryStore(store, named: named)
        _ = try await powers.loadEntries()
        for id in try EntryChurn.identities() + EntryChurn.parentIDs() {
            #expect(powers.holdsPower(id) == guarded.holdsPower(id), "\(id)")
            #expect(powers.leadsToPower(id, entryID: "") == guarded.leadsToPower(id, entryID: ""), "\(id)")
            for time in [0, 6000] {
                let now = Sample.start + TimeInterval(time)
                #expect(powers.holdsAdminEntry(id, now: now) == guarded.holdsAdminEntry(id, now: now), "\(id)")
                #expect(
                    powers.holdsDownstreamEntry(id, now: now) == guarded.holdsDownstreamEntry(id, now: now), "\(id)")
            }
        }
        #expect(powers.leadsToPower(digestSet: "release") == guarded.leadsToPower(digestSet: "release"))
    }
}

/// Draws for many at once.
private final class LockedEntropy: Sendable {
    private let source: Mutex<SeededEntropy>

    init(_ seed: UInt64) { source = Mutex(SeededEntropy(seed)) }

    func draw(_ bound: Int) -> Int { source.withLock { Int.random(in: 0..<bound, using: &$0) } }
}
