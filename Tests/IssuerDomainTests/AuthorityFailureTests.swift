import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import Synchronization
import TestSupport
import Testing

@Suite("Authorities where every call can fail")
struct AuthorityFailureTests {
    @Test(
        "Whichever call fails, before or after it did its work, a rotation goes on, no SVID is lost and no key is left behind",
        arguments: [false, true])
    func everyCall(afterwards: Bool) async throws {
        let calls = try await rotation(failingAt: nil, afterwards: afterwards)
        #expect(calls > 20)
        for number in 1...calls { _ = try await rotation(failingAt: number, afterwards: afterwards) }
    }

    @Test(
        "Whichever call a crash cuts, before or after it did its work, the next start leaves no key behind",
        arguments: [false, true])
    func everyCrash(afterwards: Bool) async throws {
        let (trustDomain, server) = (try Given.trustDomain(), try #require(Sample.server))
        for number in 1... {
            let trouble = Trouble(at: number, afterwards: afterwards, isLasting: true)
            let (store, keys, notes) = (TroubledStore(trouble), TroubledKeys(trouble), TroubledNotes(trouble))
            func open(_ now: Date) async throws -> AuthorityKeeper {
                try await AuthorityKeeper(
                    trustDomain: trustDomain, settings: .init(), server: server, store: store, keys: keys, notes: notes,
                    feed: RevisionFeed(), now: now, using: SeededEntropy(UInt64(number)),
                    logger: LogCollector().logger())
            }
            var entropy = SeededEntropy(UInt64(number) + 1)
            if let keeper = try? await open(Given.start) {
                for hour in [13, 21, 34] {
                    let now = Given.start + Double(hour) * 3600
                    _ = try? await keeper.tend(now: now, using: SeededEntropy(entropy.next()))
                    _ = try? await keeper.prepare(.jwt, now: now, using: SeededEntropy(entropy.next()))
                }
            }
            let isOver = !trouble.isOver
            trouble.end()
            let keeper = try await open(Given.start + 47 * 3600)
            let named = Set(keeper.snapshot.records.filter { $0.state != .revoked }.compactMap(\.keyName))
            let (names, noted) = (try await keys.names(), try await notes.read())
            #expect(named == Set(names), "crash in call \(number)")
            #expect(noted.isEmpty, "crash in call \(number)")
            guard !isOver else {
                #expect(number > 30)
                return
            }
        }
    }

    @Test("A key that was recorded once and is in no record now, as after a database was brought back, is kept")
    func broughtBack() async throws {
        let trouble = Trouble(at: nil, afterwards: false)
        let (keys, notes, server) = (TroubledKeys(trouble), TroubledNotes(trouble), try #require(Sample.server))
        func open(_ seed: UInt64, _ logs: LogCollector = LogCollector()) async throws -> AuthorityKeeper {
            try await AuthorityKeeper(
                trustDomain: try Given.trustDomain(), settings: .init(), server: server, store: MemoryStore(),
                keys: keys,
                notes: notes, feed: RevisionFeed(), now: Given.start, using: SeededEntropy(seed), logger: logs.logger())
        }
        let lost = Set(try await open(1).snapshot.records.compactMap(\.keyName))
        let logs = LogCollector()
        let found = Set(try await open(2, logs).snapshot.records.compactMap(\.keyName))
        let names = try await keys.names()
        #expect(lost.count == 2 && Set(names) == lost.union(found))
        #expect(logs.messages().contains("key without a record; the database may be older than the keys"))
    }

    /// Two days in which everything is replaced, with a start in the middle and one call that fails.
    ///
    /// - Returns: How many calls there were.
    private func rotation(failingAt number: Int?, afterwards: Bool) async throws -> Int {
        let trouble = Trouble(at: number, afterwards: afterwards)
        let (store, keys, notes) = (TroubledStore(trouble), TroubledKeys(trouble), TroubledNotes(trouble))
        var entropy = SeededEntropy(UInt64(number ?? 0) + 1)
        let (trustDomain, server) = (try Given.trustDomain(), try #require(Sample.server))
        func open(_ now: Date) async throws -> AuthorityKeeper {
            for _ in 0..<3 {
                do throws(AuthorityError) {
                    return try await AuthorityKeeper(
                        trustDomain: trustDomain, settings: .init(), server: server, store: store, keys: keys,
                        notes: notes, feed: RevisionFeed(), now: now, using: SeededEntropy(entropy.next()),
                        logger: LogCollector().logger())
                } catch {
                    // One failure, then no more.
                    guard trouble.isOver else { throw error }
                }
            }
            throw AuthorityError.damaged(id: "start")
        }
        var keeper = try await open(Given.start)
        var last = keeper.snapshot
        for hour in stride(from: 3, through: 60, by: 3) {
            let now = Given.start + Double(hour) * 3600
            _ = try? await keeper.tend(now: now, using: SeededEntropy(entropy.next()))
            if hour == 30 {
                _ = try? await keeper.prepare(.jwt, now: now, using: SeededEntropy(entropy.next()))
            }
            if hour == 33 {
                // As after a crash.
                keeper = try await open(now)
            }
            let snapshot = keeper.snapshot
            #expect(snapshot.x509.validity.contains(now) && snapshot.jwt.record.notAfter > now)
            #expect(snapshot.bundle.x509.authorities.contains(snapshot.x509.certificate))
            #expect(snapshot.bundle.x509.authorities.contains(last.x509.certificate), "what signed last is trusted")
            last = snapshot
        }
        trouble.end()
        try await keeper.tend(now: Given.start + 61 * 3600, using: SeededEntropy(entropy.next()))
        let records = try await store.loadAuthorities().authorities
        for kind in AuthorityRecord.Kind.allCases {
            #expect(records.count { $0.kind == kind && $0.state == .active } == 1, "call \(number ?? 0)")
        }
        let names = try await keys.names()
        let named = Set(records.compactMap(\.keyName))
        #expect(named == Set(names), "call \(number ?? 0)")
        return trouble.calls
    }
}

/// One call of many that fails.
private final class Trouble: Sendable {
    private let number: Int?
    private let afterwards: Bool
    private let isLasting: Bool
    private let count = Mutex(0)
    private let hasEnded = Mutex(false)

    /// Creates trouble.
    ///
    /// - Parameters:
    ///   - number: Which call fails; nil for none.
    ///   - afterwards: Whether it does its work all the same.
    ///   - isLasting: Whether nothing is done any more from then on, as after a crash.
    init(at number: Int?, afterwards: Bool, isLasting: Bool = false) {
        (self.number, self.afterwards, self.isLasting) = (number, afterwards, isLasting)
    }

    var calls: Int { count.withLock { $0 } }
    var isOver: Bool { number.map { calls >= $0 } ?? false }

    /// Lets everything succeed from here on, uncounted.
    func end() { hasEnded.withLock { $0 = true } }

    /// Does the work, unless it is to fail before; nil when it is to fail.
    func fails<Value>(_ work: () async throws -> Value) async throws -> Value? {
        if hasEnded.withLock({ $0 }) { return try await work() }
        let isHere = count.withLock { count in
            count += 1
            return count == number
        }
        if isLasting, !isHere, isOver { return nil }
        if isHere {
            if afterwards { _ = try await work() }
            return nil
        }
        return try await work()
    }
}

private struct TroubledStore: AuthorityStore {
    private let base = MemoryStore()
    private let trouble: Trouble

    init(_ trouble: Trouble) { self.trouble = trouble }

    func loadAuthorities() async throws(StoreError) -> (authorities: [AuthorityRecord], sequence: UInt64) {
        try await run { try await base.loadAuthorities() }
    }

    func apply(_ changes: [AuthorityChange]) async throws(StoreError) -> UInt64 {
        try await run { try await base.apply(changes) }
    }

    private func run<Value>(_ work: () async throws -> Value) async throws(StoreError) -> Value {
        do {
            if let value = try await trouble.fails(work) { return value }
        } catch { throw error as? StoreError ?? .failed(detail: "\(error)") }
        throw .failed(detail: "trouble")
    }
}

private struct TroubledKeys: SigningKeyStore {
    private let base = MemoryKeyStore()
    private let trouble: Trouble

    init(_ trouble: Trouble) { self.trouble = trouble }

    var outlivesProcess: Bool { true }

    func generate(_ name: String, type: SigningKeyType) async throws(KeyStoreError) -> any SigningKey {
        try await run { try await base.generate(name, type: type) }
    }

    func key(_ name: String) async throws(KeyStoreError) -> any SigningKey {
        try await run { try await base.key(name) }
    }

    func names() async throws(KeyStoreError) -> [String] { try await run { try await base.names() } }

    func delete(_ name: String) async throws(KeyStoreError) { try await run { try await base.delete(name) } }

    private func run<Value>(_ work: () async throws -> Value) async throws(KeyStoreError) -> Value {
        do {
            if let value = try await trouble.fails(work) { return value }
        } catch { throw error as? KeyStoreError ?? .failed(detail: "\(error)") }
        throw .failed(detail: "trouble")
    }
}

private final class TroubledNotes: KeyNotes {
    private let trouble: Trouble
    private let names = Mutex<Set<String>>([])

    init(_ trouble: Trouble) { self.trouble = trouble }

    func read() async throws(KeyStoreError) -> Set<String> { try await run { self.names.withLock { $0 } } }

    func write(_ names: Set<String>) async throws(KeyStoreError) {
        try await run { self.names.withLock { $0 = names } }
    }

    private func run<Value>(_ work: () async throws -> Value) async throws(KeyStoreError) -> Value {
        do {
            if let value = try await trouble.fails(work) { return value }
        } catch { throw error as? KeyStoreError ?? .failed(detail: "\(error)") }
        throw .failed(detail: "trouble")
    }
}
