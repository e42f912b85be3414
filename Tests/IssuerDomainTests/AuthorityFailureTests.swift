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

    /// Two days in which everything is replaced, with a start in the middle and one call that fails.
    ///
    /// - Returns: How many calls there were.
    private func rotation(failingAt number: Int?, afterwards: Bool) async throws -> Int {
        let trouble = Trouble(at: number, afterwards: afterwards)
        let (store, keys) = (TroubledStore(trouble), TroubledKeys(trouble))
        var entropy = SeededEntropy(UInt64(number ?? 0) + 1)
        let (trustDomain, server) = (try Given.trustDomain(), try #require(Sample.server))
        func open(_ now: Date) async throws -> AuthorityKeeper {
            for _ in 0..<3 {
                do throws(AuthorityError) {
                    return try await AuthorityKeeper(
                        trustDomain: trustDomain, settings: .init(), server: server, store: store, keys: keys,
                        feed: RevisionFeed(), now: now, using: SeededEntropy(entropy.next()),
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
    private let count = Mutex(0)
    private let hasEnded = Mutex(false)

    init(at number: Int?, afterwards: Bool) { (self.number, self.afterwards) = (number, afterwards) }

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
