import Foundation
import GRPCCore
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing
import WorkloadAPIProtos
import WorkloadIdentity

@Suite("A JWT source", .timeLimit(.minutes(1)))
struct JWTSourceTests {
    private let mint = TokenMint()

    private func tokens(_ serial: Int, until end: Date = Date() + 300) throws -> FakeAgent.Step {
        .send(try WorkloadJWTSVIDResponse(mint.wire(until: end, serial: serial)).bytes)
    }

    private var bundles: FakeAgent.Step { get throws { .send(try mint.bundles.bytes) } }

    @Test("asks once for a token, and gives it out from memory")
    func memory() async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.jwtBundles, [try bundles, .hang])
            agent.play(.jwtSVID, [try tokens(1)], [.end(.internalError)])
            let source = try await JWTSource.start(options: options)
            let first = try await source.token(for: "a")
            #expect(try await source.token(for: ["a", "a"]).token == first.token)
            #expect(try await source.tokens(for: ["a"]).map(\.id) == [.example("/w")])
            #expect(agent.calls.count(.jwtSVID) == 1)
            await source.close()
            let error = await #expect(throws: WorkloadAPIError.self) { try await source.token(for: "a") }
            #expect(error?.code == .closed)
        }
    }

    @Test("WLAPI-40: a refusal takes bundles and tokens back at once; what comes after it is new")
    func withdrawal() async throws {
        try await FakeAgent.run { agent, options in
            let (revoke, restore) = (Signal(), Signal())
            agent.play(
                .jwtBundles, [try bundles, .wait(revoke), .end(.permissionDenied, "none")],
                [.wait(restore), try bundles, .hang])
            agent.play(.jwtSVID, [try tokens(1)], [.end(.permissionDenied, "none")], [try tokens(2)])
            let source = try await JWTSource.start(options: options)
            let first = try await source.token(for: "a")
            #expect(try source.validate(first.token, audience: "a").id == .example("/w"))
            var updates = source.updates.makeAsyncIterator()
            _ = await updates.next()

            revoke.fire()
            let refusal = WorkloadAPIError(.noIdentity, "none")
            let told = await updates.next()
            #expect(throws: refusal) { try told?.get() }
            #expect(source.bundle(for: try .example) == nil)
            await #expect(throws: refusal) { try await source.token(for: "a") }
            let verdict = #expect(throws: SPIFFEError.self) { try source.validate(first.token, audience: "a") }
            #expect(verdict?.code == .unknownTrustDomain)

            restore.fire()
            #expect(try await updates.next()?.get().count == 1)
            #expect(try await source.token(for: "a").token != first.token)
            await source.close()
        }
    }

    @Test("WLAPI-34: bundles that vanished from the last message judge nobody (WLAPI-43)")
    func vanished() async throws {
        try await FakeAgent.run { agent, options in
            let (goOn, other) = (Signal(), TokenMint())
            var both = mint.bundles
            both.bundles["spiffe://other.example"] = other.jwks
            agent.play(.jwtBundles, [.send(try both.bytes), .wait(goOn), try bundles, .hang])
            let source = try await JWTSource.start(options: options)
            let token = try other.token("spiffe://other.example/w")
            #expect(try source.validate(token, audience: "a").id.trustDomain == .other)
            // A key of another domain's bundle proves nothing.
            #expect(throws: SPIFFEError.self) { try source.validate(try other.token(), audience: "a") }
            var updates = source.updates.makeAsyncIterator()
            _ = await updates.next()
            goOn.fire()
            _ = await updates.next()
            let verdict = #expect(throws: SPIFFEError.self) { try source.validate(token, audience: "a") }
            #expect(verdict?.code == .unknownTrustDomain)
            await source.close()
        }
    }

    @Test(
        "what an endpoint may not answer is an error, and nothing is kept of it",
        arguments: [
            ("no token", []), ("no message", nil), ("bytes that are no message", [0xFF]),
            ("no text", [0x0A, 0x00]),
        ] as [(String, [UInt8]?)])
    func nonsense(_ name: String, _ answer: [UInt8]?) async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.jwtBundles, [try bundles, .hang])
            agent.play(.jwtSVID, answer.map { [.send($0)] } ?? [], [try tokens(1)])
            let source = try await JWTSource.start(options: options)
            await #expect(throws: WorkloadAPIError.self) { try await source.token(for: "a") }
            #expect(try await source.token(for: "a").id == .example("/w"))
            await source.close()
        }
    }

    @Test("a request without an audience is not sent", arguments: [[], [""], ["a", ""]])
    func noAudience(_ audience: [String]) async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.jwtBundles, [try bundles, .hang])
            let source = try await JWTSource.start(options: options)
            let error = await #expect(throws: WorkloadAPIError.self) { try await source.token(for: audience) }
            #expect(error?.code == .invalidRequest)
            #expect(agent.calls.count(.jwtSVID) == 0)
            await source.close()
        }
    }
}

@Suite("A bundle source", .timeLimit(.minutes(1)))
struct BundleSourceTests {
    private static let ca = Result { try TestCA.current() }

    private static func x509(_ names: String...) throws -> FakeAgent.Step {
        let der = try ca.get().der
        return .send(
            try WorkloadX509BundlesResponse.with { message in
                for name in names { message.bundles[name] = der }
            }.bytes)
    }

    @Test("GS-12: needs no identity; the two kinds of bundle are apart (WLAPI-38)")
    func kinds() async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.x509Bundles, [try Self.x509("spiffe://other.example"), .hang])
            agent.play(.jwtBundles, [.send(try TokenMint().bundles.bytes), .hang])
            let source = try await BundleSource.start(options: options)
            let (example, other) = (try TrustDomain.example, try TrustDomain.other)
            #expect(source.x509Bundle(for: other) != nil && source.jwtBundle(for: other) == nil)
            #expect(source.x509Bundle(for: example) == nil && source.jwtBundle(for: example) != nil)
            await source.close()
            #expect(source.x509Bundle(for: other) == nil && source.jwtBundle(for: example) == nil)
            #expect(agent.calls.count(.x509SVID) == 0)
            try await agent.departures.wait(for: .x509Bundles)
            try await agent.departures.wait(for: .jwtBundles)
        }
    }

    @Test("A05, WLAPI-40: what vanished is gone, and a refusal of one kind leaves the other")
    func withdrawal() async throws {
        try await FakeAgent.run { agent, options in
            let (drop, revoke) = (Signal(), Signal())
            agent.play(
                .x509Bundles,
                [
                    try Self.x509("spiffe://example.org", "other.example"), .wait(drop),
                    try Self.x509("spiffe://example.org"), .wait(revoke), .end(.permissionDenied),
                ], [.end(.permissionDenied)])
            agent.play(.jwtBundles, [.send(try TokenMint().bundles.bytes), .hang])
            let source = try await BundleSource.start(options: options)
            var updates = source.x509Updates.makeAsyncIterator()
            #expect(try await updates.next()?.get().bundles.count == 2)
            drop.fire()
            #expect(try await updates.next()?.get().bundles.count == 1)
            #expect(source.x509Bundle(for: try .other) == nil)
            revoke.fire()
            _ = await updates.next()
            #expect(source.x509Bundle(for: try .example) == nil)
            #expect(source.jwtBundle(for: try .example) != nil)
            await source.close()
        }
    }

    @Test("WLEP-25: a kind that the endpoint does not offer is told at once, whatever the other does")
    func unsupported() async throws {
        try await FakeAgent.run(timeout: .seconds(100_000)) { agent, options in
            agent.play(.x509Bundles, [.hang])
            agent.play(.jwtBundles, [.end(.unimplemented)])
            let error = await #expect(throws: WorkloadAPIError.self) { try await BundleSource.start(options: options) }
            #expect(error?.code == .unsupported)
        }
    }
}
