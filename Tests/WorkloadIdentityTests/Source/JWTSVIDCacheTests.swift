import Foundation
import Logging
import SPIFFE
import Synchronization
import TestSupport
import Testing
import WorkloadAPIProtos
import WorkloadIdentity

/// An endpoint that answers when the test lets it: tokens with a serial number, good for a hundred seconds.
final class FakeEndpoint: Sendable {
    private struct State {
        var failure: WorkloadAPIError?
        var gate: Signal?
        var lifetime: TimeInterval = 100
        var serial = 0
    }

    /// Requests by audience, once they have begun.
    let requests = Ledger<String>()
    private let mint = TokenMint()
    private let state = Mutex(State())
    private let clock: ManualClock

    init(_ clock: ManualClock) { self.clock = clock }

    /// Refuses from now on, or answers again.
    func fail(_ error: WorkloadAPIError?) { state.withLock { $0.failure = error } }

    /// Makes every request wait for a signal, or none.
    func hold(_ gate: Signal?) { state.withLock { $0.gate = gate } }

    /// How long tokens are good for from now on.
    func issue(for lifetime: TimeInterval) { state.withLock { $0.lifetime = lifetime } }

    func fetch(_ question: JWTSVIDCache.Question) async throws(WorkloadAPIError) -> [FetchedJWTSVID] {
        let held = state.withLock { $0 }
        requests.add(question.audience.joined(separator: ","))
        if let gate = held.gate { await gate.wait() }
        if Task.isCancelled { throw WorkloadAPIError(.unavailable, "cancelled") }
        if let failure = held.failure { throw failure }
        let serial = state.withLock { state in
            state.serial += 1
            return state.serial
        }
        do {
            return [
                try FetchedJWTSVID(
                    mint.wire(for: question.audience, until: clock.now + held.lifetime, serial: serial))
            ]
        } catch { throw WorkloadAPIError(.invalidResponse, "\(error)") }
    }
}

@Suite("The cache of JWT-SVIDs", .timeLimit(.minutes(1)))
struct JWTSVIDCacheTests {
    private let clock = ManualClock()
    private let endpoint: FakeEndpoint
    private let cache: JWTSVIDCache
    private let log = LogWatch()

    init() {
        let (clock, endpoint) = (clock, FakeEndpoint(clock))
        self.endpoint = endpoint
        cache = JWTSVIDCache(
            backoff: Backoff(initial: .seconds(1), maximum: .seconds(4)), logger: log.logger(),
            using: SeededEntropy(), now: { clock.now }
        ) { question throws(WorkloadAPIError) in try await endpoint.fetch(question) }
    }

    private func question(_ audience: String..., as id: SPIFFEID? = nil) -> JWTSVIDCache.Question {
        .init(audience: audience, id: id)
    }

    private func token(_ audience: String) async throws -> String {
        try await cache.tokens(for: question(audience))[0].token
    }

    /// Runs a body while the cache renews by the test's clock.
    private func whileRenewing(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [cache, clock] in await cache.run { try await clock.sleep(until: $0) } }
            try await body()
            group.cancelAll()
        }
    }

    /// Lets a second pass, and another, until there were that many requests for an audience.
    private func advance(until audience: String, was count: Int) async throws {
        while endpoint.requests.count(audience) < count {
            clock.advance(by: .seconds(1))
            for _ in 0..<20 { await Task.yield() }
        }
    }

    @Test("the same set of audiences, in whatever order and however often named, is one question")
    func sameSet() async throws {
        let first = try await cache.tokens(for: question("b", "a"))
        #expect(try await cache.tokens(for: question("a", "b", "a"))[0].token == first[0].token)
        #expect(endpoint.requests.count("a,b") == 1)
        #expect(await cache.count == 1)
    }

    @Test("another set, another identity or another spelling is another question")
    func otherQuestions() async throws {
        _ = try await cache.tokens(for: question("a"))
        _ = try await cache.tokens(for: question("a", "b"))
        _ = try await cache.tokens(for: question("a", as: try .example("/w")))
        _ = try await cache.tokens(for: question("caf\u{E9}"))
        _ = try await cache.tokens(for: question("cafe\u{301}"))
        #expect(await cache.count == 5)
    }

    @Test("a hundred callers at once make one request")
    func singleFlight() async throws {
        let gate = Signal()
        endpoint.hold(gate)
        let tokens = try await withThrowingTaskGroup(of: String.self, returning: Set<String>.self) { group in
            for _ in 0..<100 { group.addTask { try await token("a") } }
            try await endpoint.requests.wait(for: "a")
            gate.fire()
            return try await group.reduce(into: []) { $0.insert($1) }
        }
        #expect(tokens.count == 1)
        #expect(endpoint.requests.count("a") == 1)
    }

    @Test("who is cancelled costs the others nothing, whether it asked first or last", arguments: [true, false])
    func cancellation(first isFirst: Bool) async throws {
        let gate = Signal()
        endpoint.hold(gate)
        try await withThrowingTaskGroup(of: Void.self) { group in
            if !isFirst {
                group.addTask { _ = try await token("a") }
                try await endpoint.requests.wait(for: "a")
            }
            try await withThrowingTaskGroup(of: Void.self) { doomed in
                doomed.addTask { await #expect(throws: WorkloadAPIError.self) { try await token("a") } }
                if isFirst { try await endpoint.requests.wait(for: "a") }
                for _ in 0..<10 { group.addTask { _ = try await token("a") } }
                for _ in 0..<100 { await Task.yield() }
                doomed.cancelAll()
                try await doomed.waitForAll()
            }
            gate.fire()
            try await group.waitForAll()
        }
        #expect(endpoint.requests.count("a") <= 2)
    }

    @Test("a used token is renewed at about half its life, ahead of its end")
    func renewal() async throws {
        try await whileRenewing {
            let first = try await token("a")
            clock.advance(by: .seconds(44))
            for _ in 0..<100 { await Task.yield() }
            #expect(try await token("a") == first)
            #expect(endpoint.requests.count("a") == 1, "not before its time")
            clock.advance(by: .seconds(12))
            try await endpoint.requests.wait(for: "a", toReach: 2)
            while try await token("a") == first { await Task.yield() }
            #expect(endpoint.requests.count("a") == 2, "and nobody had to wait for it")
        }
    }

    @Test("a token that nobody used since its renewal is left to end")
    func unused() async throws {
        try await whileRenewing {
            _ = try await token("unused")
            _ = try await token("used")
            try await advance(until: "unused", was: 2)
            for renewal in 3...6 {
                _ = try await token("used")
                try await advance(until: "used", was: renewal)
            }
            #expect(endpoint.requests.count("unused") == 2)
            while await cache.count > 1 { await Task.yield() }
            _ = try await token("unused")
            #expect(endpoint.requests.count("unused") == 3, "whoever needs it again asks")
        }
    }

    @Test("while renewal fails the old token is given out until its end, and not after")
    func failure() async throws {
        try await whileRenewing {
            let first = try await token("a")
            endpoint.fail(WorkloadAPIError(.unavailable, "down"))
            clock.advance(by: .seconds(56))
            try await log.messages.wait(for: "token not renewed")
            #expect(try await token("a") == first)
            // Tries again, with pauses of at most four seconds.
            let before = endpoint.requests.count("a")
            try await advance(until: "a", was: before + 3)
            #expect(try await token("a") == first)
            clock.advance(by: .seconds(100))
            let error = await #expect(throws: WorkloadAPIError.self) { try await token("a") }
            #expect(error == WorkloadAPIError(.unavailable, "down"))
            endpoint.fail(nil)
            #expect(try await token("a") != first)
        }
    }

    @Test("a renewal that hangs does not hold up the others")
    func hangingRenewal() async throws {
        try await whileRenewing {
            endpoint.issue(for: 50)
            _ = try await token("slow")
            endpoint.issue(for: 100)
            _ = try await token("other")
            let gate = Signal()
            endpoint.hold(gate)
            try await advance(until: "slow", was: 2)
            endpoint.hold(nil)
            try await advance(until: "other", was: 2)
            gate.fire()
        }
    }

    @Test("WLAPI-40: a refusal for lack of an identity drops the token at once")
    func refusal() async throws {
        try await whileRenewing {
            _ = try await token("a")
            endpoint.fail(WorkloadAPIError(.noIdentity, "gone"))
            clock.advance(by: .seconds(56))
            try await log.messages.wait(for: "token not renewed")
            #expect(await cache.count == 0)
            let error = await #expect(throws: WorkloadAPIError.self) { try await token("a") }
            #expect(error?.code == .noIdentity)
        }
    }

    @Test("WLAPI-40: what is dropped while a request is under way does not come back with its answer")
    func resurrection() async throws {
        let gate = Signal()
        endpoint.hold(gate)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await token("a") }
            try await endpoint.requests.wait(for: "a")
            await cache.removeAll()
            endpoint.fail(WorkloadAPIError(.noIdentity, "gone"))
            endpoint.hold(nil)
            // Who comes now does not wait for the answer from before.
            let error = await #expect(throws: WorkloadAPIError.self) { try await token("a") }
            #expect(error?.code == .noIdentity)
            gate.fire()
            try await group.waitForAll()
        }
        #expect(await cache.count == 0)
    }

    @Test("holds so many and no more, and lets go of the one unused for longest")
    func capacity() async throws {
        for number in 0..<JWTSVIDCache.capacity { _ = try await token("\(number)") }
        _ = try await token("0")
        _ = try await token("new")
        #expect(await cache.count == JWTSVIDCache.capacity)
        _ = try await token("0")
        #expect(endpoint.requests.count("0") == 1, "used last, so kept")
        _ = try await token("1")
        #expect(endpoint.requests.count("1") == 2, "used first, so gone")
    }

    @Test("a token that has ended when it comes is an error, and is not kept")
    func expiredOnArrival() async throws {
        endpoint.issue(for: -1)
        let error = await #expect(throws: WorkloadAPIError.self) { try await token("a") }
        #expect(error?.code == .expired)
        #expect(await cache.count == 0)
    }

    @Test("cancelled, it stops renewing and ends")
    func end() async throws {
        endpoint.hold(Signal())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [cache, clock] in await cache.run { try await clock.sleep(until: $0) } }
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}
