import Foundation
import GRPCCore
import SPIFFE
import TestSupport
import Testing
import WorkloadAPIProtos
import WorkloadIdentity

@Suite("The life of an X.509 source", .timeLimit(.minutes(1)))
struct X509SourceLifeTests {
    private static let ca = Result { try TestCA.current() }

    private static func good(_ path: String = "/w") throws -> FakeAgent.Step {
        .send(try WorkloadX509SVIDResponse(try ca.get().wire(path)).bytes)
    }

    @Test("WLAPI-33: a stream that ends after a life of its own is reopened at once, not after a pause")
    func reopens() async throws {
        try await FakeAgent.run(backoff: .endless) { agent, options in
            agent.play(
                .x509SVID, [try Self.good("/1")], [try Self.good("/2"), .end(.unavailable)],
                [try Self.good("/3"), .hang])
            let source = try await X509Source.start(options: options)
            try await agent.calls.wait(for: .x509SVID, toReach: 3)
            try await Self.wait(for: "/3", in: source)
            await source.close()
        }
    }

    @Test("GS-03: a status of Cancelled from the endpoint does not end the source")
    func cancelledByEndpoint() async throws {
        try await FakeAgent.run(backoff: .endless) { agent, options in
            let goOn = Signal()
            agent.play(.x509SVID, [try Self.good("/1"), .wait(goOn), .end(.cancelled)], [try Self.good("/2"), .hang])
            let source = try await X509Source.start(options: options)
            #expect(try source.svid.id.path == "/1")
            goOn.fire()
            try await Self.wait(for: "/2", in: source)
            await source.close()
        }
    }

    @Test("a source survives its agent: it keeps what it has, and follows the next one")
    func restart() async throws {
        try await TemporaryFolder.use { folder in
            let (path, log) = ("\(folder)/agent.sock", LogWatch())
            let (first, second) = (FakeAgent(), FakeAgent())
            first.play(.x509SVID, [try Self.good("/1"), .hang])
            second.play(.x509SVID, [try Self.good("/2"), .hang])
            let options = try SourceOptions.reaching(path).logging(to: log)
            let started = LatestValue<X509Source>()
            try await first.serve(at: path) { started.set(try await X509Source.start(options: options)) }
            let source = try #require(started.snapshot.value)
            try await log.messages.wait(for: "stream ended", toReach: 3)
            #expect(try source.svid.id.path == "/1", "what cannot be refreshed is still good")
            try await second.serve(at: path) {
                try await Self.wait(for: "/2", in: source)
                await source.close()
            }
        }
    }

    @Test("close() ends the call, forgets the identity, and may be called again")
    func close() async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.x509SVID, [try Self.good(), .hang])
            let source = try await X509Source.start(options: options)
            _ = try source.material()
            await source.close()
            try await agent.departures.wait(for: .x509SVID)
            await source.close()
            let closed = WorkloadAPIError(.closed, "the source was closed")
            #expect(throws: closed) { try source.svid }
            #expect(throws: closed) { try source.update }
            #expect(throws: closed) { try source.material() }
            #expect(source.bundle(for: try .example) == nil)
            var updates = source.updates.makeAsyncIterator()
            #expect(await updates.next() == nil)
            #expect(agent.calls.count(.x509SVID) == 1)
        }
    }

    @Test("a source that nobody holds any more hangs up")
    func letGo() async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.x509SVID, [try Self.good(), .hang])
            agent.play(.jwtBundles, [.send(try TokenMint().bundles.bytes), .hang])
            do {
                let (x509, jwt) = (
                    try await X509Source.start(options: options), try await JWTSource.start(options: options)
                )
                #expect(try x509.svid.id.path == "/w")
                #expect(jwt.bundle(for: try .example) != nil)
            }
            try await agent.departures.wait(for: .x509SVID)
            try await agent.departures.wait(for: .jwtBundles)
        }
    }

    @Test("updates begin with the present state, skip what nobody took, and reach every listener")
    func updates() async throws {
        try await FakeAgent.run { agent, options in
            let (more, last) = (Signal(), Signal())
            agent.play(
                .x509SVID,
                [
                    try Self.good("/1"), .wait(more), try Self.good("/2"), try Self.good("/3"), try Self.good("/4"),
                    .wait(last), try Self.good("/5"), .hang,
                ])
            let source = try await X509Source.start(options: options)
            var (slow, other) = (source.updates.makeAsyncIterator(), source.updates.makeAsyncIterator())
            #expect(try await slow.next()?.get().svids[0].id.path == "/1")
            more.fire()
            try await Self.wait(for: "/4", in: source)
            #expect(try await slow.next()?.get().svids[0].id.path == "/4", "/2 and /3 were replaced meanwhile")
            #expect(try await other.next()?.get().svids[0].id.path == "/4")
            last.fire()
            #expect(try await slow.next()?.get().svids[0].id.path == "/5")
            #expect(try await other.next()?.get().svids[0].id.path == "/5")
            await source.close()
            #expect(await slow.next() == nil)
            #expect(await other.next() == nil)
        }
    }

    @Test("a loop over updates ends when the source is closed, and when its task is cancelled")
    func endOfUpdates() async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.x509SVID, [try Self.good(), .hang])
            let source = try await X509Source.start(options: options)
            let seen = Ledger<Int>()
            await withTaskGroup(of: Void.self) { group in
                group.addTask { for await _ in source.updates { seen.add(0) } }
                group.addTask { try? await seen.wait(for: 0) }
                await group.next()
                group.cancelAll()
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for await _ in source.updates { seen.add(1) } }
                try await seen.wait(for: 1)
                await source.close()
                try await group.waitForAll()
            }
            #expect(seen.count(0) == 1 && seen.count(1) == 1)
        }
    }

    @Test("a loop over updates ends when its task is cancelled, also amid a flood")
    func endOfFlood() async throws {
        try await FakeAgent.run { agent, options in
            let messages = try ["/1", "/2"].map { try WorkloadX509SVIDResponse(Self.ca.get().wire($0)).bytes }
            agent.play(.x509SVID, [.flood(messages, count: .max)])
            let source = try await X509Source.start(options: options)
            let seen = Ledger<Int>()
            await withTaskGroup(of: Void.self) { group in
                group.addTask { for await _ in source.updates { seen.add(0) } }
                group.addTask { try? await seen.wait(for: 0, toReach: 10) }
                await group.next()
                group.cancelAll()
            }
            await source.close()
        }
    }

    /// Waits until a source stands for an identity.
    private static func wait(for path: String, in source: X509Source) async throws {
        for await update in source.updates where try update.get().svids.first?.id.path == path { return }
        Issue.record("closed before it stood for \(path)")
    }
}
