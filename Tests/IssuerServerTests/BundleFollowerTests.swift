import Foundation
import IssuerDomain
import IssuerServer
import OutboundHTTP
import SPIFFE
import StoreContract
import Synchronization
import TestSupport
import Testing

@Suite("Following other trust domains", .timeLimit(.minutes(1)))
struct BundleFollowerTests {
    private let clock = ManualClock(Sample.start)
    private let fetcher = ScriptedFetcher()
    private let logs = LogCollector()

    /// Runs a body beside a follower.
    private func run(
        _ body: (BundleFollower, FederationRegistrar, inout AsyncStream<String>.Iterator) async throws -> Void
    ) async throws {
        let federation = try await FederationRegistrar(
            trustDomain: Sample.trustDomain(), store: MemoryStore(), feed: RevisionFeed())
        let own = TrustBundle(trustDomain: try Sample.trustDomain(), x509Authorities: [], jwtAuthorities: [:])
        let follower = BundleFollower(
            federation: federation, ownBundle: { own }, fetcher: fetcher, clock: clock, logger: logs.logger())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await follower.run() }
            var requests = fetcher.requests.makeAsyncIterator()
            try await body(follower, federation, &requests)
            group.cancelAll()
        }
    }

    private func follow(
        _ domain: String, _ follower: BundleFollower, _ federation: FederationRegistrar
    ) async throws -> FederationRelationship {
        let relationship = FederationRelationship(
            trustDomain: try TrustDomain(domain),
            endpoint: BundleEndpoint(url: try BundleEndpointURL("https://\(domain)/"), profile: .web))
        _ = try await federation.create([FederationRelationshipDraft(relationship)])
        follower.wake()
        return relationship
    }

    /// Waits until a status says what it must.
    private func status(
        of relationship: FederationRelationship, in follower: BundleFollower,
        until isSo: (BundleFollower.Status) -> Bool
    ) async -> BundleFollower.Status {
        while true {
            if let status = follower.statuses.first(where: { $0.0 == relationship.trustDomain })?.1, isSo(status) {
                return status
            }
            await Task.yield()
        }
    }

    @Test("A bundle is fetched at once, and again when its hint says so, a little early (FED-32)")
    func hints() async throws {
        try await run { follower, federation, requests in
            fetcher.answer("a.example", .json(#"{"keys":[],"spiffe_sequence":1,"spiffe_refresh_hint":600}"#))
            let relationship = try await follow("a.example", follower, federation)
            #expect(await requests.next() == "a.example")
            let first = await status(of: relationship, in: follower) { $0.succeeded != nil }
            #expect((540...600).contains(first.due.timeIntervalSince(Sample.start)))
            clock.advance(by: .seconds(601))
            #expect(await requests.next() == "a.example")
            let second = await status(of: relationship, in: follower) { $0.succeeded != first.succeeded }
            #expect(second.error == nil)
            #expect(fetcher.count == 2, "nothing was fetched in between")
        }
    }

    @Test("A failure waits for the next interval, and is visible until it is over (FED-33)")
    func failures() async throws {
        try await run { follower, federation, requests in
            fetcher.answer("a.example", .failure(.tooSlow))
            let relationship = try await follow("a.example", follower, federation)
            #expect(await requests.next() == "a.example")
            let failed = await status(of: relationship, in: follower) { $0.error != nil }
            #expect(failed.error?.contains("in time") == true)
            #expect(failed.succeeded == nil)
            #expect((54...60).contains(failed.due.timeIntervalSince(Sample.start)), "there is no bundle yet")
            fetcher.answer("a.example", .json(#"{"keys":[]}"#))
            clock.advance(by: .seconds(61))
            #expect(await requests.next() == "a.example")
            let healed = await status(of: relationship, in: follower) { $0.error == nil }
            #expect(healed.succeeded == clock.now)
            #expect((270...300).contains(healed.due.timeIntervalSince(clock.now)), "five minutes without a hint")
        }
    }

    @Test("An endpoint that hangs is asked once at a time, and delays no other")
    func isolation() async throws {
        try await run { follower, federation, requests in
            fetcher.answer("slow.example", .hang)
            fetcher.answer("quick.example", .json(#"{"keys":[],"spiffe_sequence":1}"#))
            _ = try await follow("slow.example", follower, federation)
            #expect(await requests.next() == "slow.example")
            let quick = try await follow("quick.example", follower, federation)
            #expect(await requests.next() == "quick.example")
            _ = await status(of: quick, in: follower) { $0.succeeded != nil }
            clock.advance(by: .seconds(3600))
            #expect(await requests.next() == "quick.example")
            #expect(fetcher.count == 3, "the slow one is not asked again while it hangs")
        }
    }

    @Test("A relationship that changes is fetched anew; one that ends is forgotten")
    func changes() async throws {
        try await run { follower, federation, requests in
            fetcher.answer("a.example", .hang)
            fetcher.answer("b.example", .json(#"{"keys":[]}"#))
            let relationship = try await follow("a.example", follower, federation)
            #expect(await requests.next() == "a.example")
            let moved = FederationRelationshipPatch(
                trustDomain: relationship.trustDomain, url: try BundleEndpointURL("https://b.example/"))
            _ = try await federation.update([moved])
            follower.wake()
            #expect(await requests.next() == "b.example", "the old endpoint that hangs does not hold it up")
            _ = await status(of: relationship, in: follower) { $0.succeeded != nil }
            _ = try await federation.deleteRelationships(with: [relationship.trustDomain])
            follower.wake()
            while !follower.statuses.isEmpty { await Task.yield() }
            #expect(federation.holdsBundle(of: relationship.trustDomain))
        }
    }

    @Test("An endpoint known by its SPIFFE ID is not asked while nothing says how to know it (FED-22)")
    func unknownEndpoint() async throws {
        try await run { follower, federation, _ in
            let id = try SPIFFEID("spiffe://other.example/endpoint")
            let relationship = FederationRelationship(
                trustDomain: try TrustDomain("a.example"),
                endpoint: BundleEndpoint(url: try BundleEndpointURL("https://a.example/"), profile: .spiffe(id)))
            _ = try await federation.create([FederationRelationshipDraft(relationship)])
            await #expect(throws: BundleFetchError.endpointUnknown(id.trustDomain)) {
                try await follower.refresh(relationship)
            }
            #expect(fetcher.count == 0)
        }
    }
}

/// Answers by host, as a test says.
private final class ScriptedFetcher: HTTPFetcher {
    enum Answer: Sendable {
        case json(String)
        case failure(HTTPFetchError)
        case hang
    }

    private struct State {
        var answers: [String: Answer] = [:]
        var count = 0
    }

    private let state = Mutex(State())
    /// The hosts asked, in order.
    let requests: AsyncStream<String>
    private let note: AsyncStream<String>.Continuation

    init() { (requests, note) = AsyncStream.makeStream() }

    var count: Int { state.withLock { $0.count } }

    func answer(_ host: String, _ answer: Answer) { state.withLock { $0.answers[host] = answer } }

    func fetch(_ request: HTTPFetch) async throws(HTTPFetchError) -> HTTPFetched {
        let host = URLComponents(string: request.url)?.host ?? ""
        let answer = state.withLock { state in
            state.count += 1
            return state.answers[host]
        }
        note.yield(host)
        switch answer {
        case .json(let text)?: return HTTPFetched(status: 200, body: Array(text.utf8))
        case .failure(let error)?: throw error
        case .hang?:
            // Until the test is over.
            let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
            for await _ in stream {}
            continuation.finish()
            throw .unreachable("cancelled")
        case nil: throw .unreachable("nobody")
        }
    }
}
