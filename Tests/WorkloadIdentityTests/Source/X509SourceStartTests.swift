import Foundation
import GRPCCore
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing
import WorkloadAPIProtos
import WorkloadIdentity

@Suite("Starting an X.509 source", .timeLimit(.minutes(1)))
struct X509SourceStartTests {
    private static let ca = Result { try TestCA.current() }

    private static func good(_ path: String = "/w") throws -> FakeAgent.Step {
        .send(try WorkloadX509SVIDResponse(try ca.get().wire(path)).bytes)
    }

    @Test("is over with the first message")
    func atOnce() async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.x509SVID, [try Self.good(), .hang])
            let source = try await X509Source.start(options: options)
            #expect(try source.svid.id == .example("/w"))
            #expect(source.bundle(for: try .example)?.authorities.count == 1)
            await source.close()
        }
    }

    @Test("WLEP-17: every call carries the metadata of the Workload API")
    func metadata() async throws {
        try await FakeAgent.run { agent, options in
            let mint = TokenMint()
            agent.play(.x509SVID, [try Self.good(), .end(.unavailable)], [try Self.good(), .hang])
            agent.play(
                .x509Bundles,
                [.send(try WorkloadX509BundlesResponse.with { $0.bundles = ["example.org": Data()] }.bytes), .hang])
            agent.play(.jwtBundles, [.send(try mint.bundles.bytes), .hang])
            agent.play(.jwtSVID, [.send(try WorkloadJWTSVIDResponse(mint.wire()).bytes)])
            agent.play(.validateJWTSVID, [.end(.invalidArgument)])
            let x509 = try await X509Source.start(options: options)
            let jwt = try await JWTSource.start(options: options)
            let bundles = try await BundleSource.start(options: options)
            _ = try await jwt.token(for: "a")
            await #expect(throws: WorkloadAPIError.self) { try await jwt.validateAtEndpoint("t", audience: "a") }
            try await agent.calls.wait(for: .x509SVID, toReach: 2)
            for source in [x509.close, jwt.close, bundles.close] as [() async -> Void] { await source() }
            #expect(agent.metadata.count >= 7)
            for metadata in agent.metadata {
                #expect(Array(metadata[stringValues: "workload.spiffe.io"]) == ["true"])
            }
        }
    }

    @Test(
        "WLEP-22, WLEP-25: what asking again cannot mend is told at once and not asked again",
        arguments: [
            (.invalidArgument, .invalidRequest), (.unimplemented, .unsupported),
        ] as [(RPCError.Code, WorkloadAPIError.Code)])
    func final(_ status: RPCError.Code, _ code: WorkloadAPIError.Code) async throws {
        try await FakeAgent.run(timeout: .seconds(100_000)) { agent, options in
            agent.play(.x509SVID, [.end(status, "no")])
            agent.play(.jwtBundles, [.end(status, "no")])
            agent.play(.x509Bundles, [.end(status, "no")])
            let refusal = WorkloadAPIError(code, "no")
            await #expect(throws: refusal) { try await X509Source.start(options: options) }
            await #expect(throws: refusal) { try await JWTSource.start(options: options) }
            #expect(agent.calls.count(.x509SVID) == 1)
            #expect(agent.calls.count(.jwtBundles) == 1)
            await #expect(throws: refusal) { try await BundleSource.start(options: options) }
            // One refusal ends the wait, so the other stream may not have been opened.
            #expect(agent.calls.count(.x509Bundles) <= 1)
            #expect(agent.calls.count(.jwtBundles) <= 2)
        }
    }

    @Test(
        "WLEP-23, WLEP-24, GS-03: every other status is waited out",
        arguments: [
            .unavailable, .permissionDenied, .cancelled, .unknown, .internalError, .deadlineExceeded,
            .resourceExhausted, .unauthenticated, .notFound, .aborted, .dataLoss, .failedPrecondition,
        ] as [RPCError.Code])
    func patience(_ status: RPCError.Code) async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.x509SVID, [.end(status)], [.end(status)], [try Self.good(), .hang])
            let source = try await X509Source.start(options: options)
            #expect(try source.svid.id.path == "/w")
            #expect(agent.calls.count(.x509SVID) == 3)
            await source.close()
        }
    }

    @Test("a stream that ends well without a message, or with bytes that are none, is opened again")
    func nonsense() async throws {
        try await FakeAgent.run { agent, options in
            agent.play(
                .x509SVID, [], [.send([0xFF, 0xFF, 0xFF])], [.send([0x0A, 0x7F, 0x00])], [try Self.good(), .hang])
            let source = try await X509Source.start(options: options)
            #expect(try source.svid.id.path == "/w")
            #expect(agent.calls.count(.x509SVID) == 4)
            await source.close()
        }
    }

    @Test("an agent that comes later is found")
    func late() async throws {
        try await TemporaryFolder.use { folder in
            let (path, agent, log) = ("\(folder)/agent.sock", FakeAgent(), LogWatch())
            agent.play(.x509SVID, [try Self.good(), .hang])
            let options = try SourceOptions.reaching(path).logging(to: log)
            let isReady = Signal()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let source = try await X509Source.start(options: options)
                    #expect(try source.svid.id.path == "/w")
                    await source.close()
                    isReady.fire()
                }
                try await log.messages.wait(for: "stream ended", toReach: 2)
                try await agent.serve(at: path) { await isReady.wait() }
                try await group.waitForAll()
            }
        }
    }

    @Test("a first message that breaks a rule is waited out, on the same stream")
    func malformedFirst() async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.x509SVID, [.send([]), .send(try WorkloadX509SVIDResponse().bytes), try Self.good(), .hang])
            let source = try await X509Source.start(options: options)
            #expect(agent.calls.count(.x509SVID) == 1)
            await source.close()
        }
    }

    /// Why there is no answer, how a test sees that it has come to that, and the code that a caller gets in the end.
    struct Delay: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let script: [FakeAgent.Step]
        var message: String?
        var picks: String?
        let code: WorkloadAPIError.Code
    }

    static let delays: [Delay] = [
        Delay(
            testDescription: "WLEP-24: no entry", script: [.end(.permissionDenied)], message: "endpoint gives nothing",
            code: .noIdentity),
        Delay(
            testDescription: "WLEP-23: not ready", script: [.end(.unavailable)], message: "stream ended",
            code: .unavailable),
        Delay(
            testDescription: "a malformed message", script: [.send([]), .hang], message: "unreadable message discarded",
            code: .invalidResponse),
        Delay(
            testDescription: "no message at all", script: [.send([0xFF]), .hang], message: "stream ended",
            code: .invalidResponse),
        Delay(
            testDescription: "more than 4 MiB (GS-18)",
            script: [.send([UInt8](repeating: 0x0A, count: WorkloadAPIClient.maximumMessageSize + 1)), .hang],
            message: "stream ended", code: .unavailable),
        Delay(
            testDescription: "an expired SVID",
            script: (try? [
                .send(WorkloadX509SVIDResponse(ca.get().wire("/mine", until: Date() - 60)).bytes), .hang,
            ]) ?? [], picks: "/mine", code: .expired),
        Delay(
            testDescription: "another identity", script: (try? [good("/other"), .hang]) ?? [], picks: "/other",
            code: .noSuchIdentity),
    ]

    @Test("when it is given up, the error says what it was that kept it", arguments: delays)
    func reason(_ delay: Delay) async throws {
        try await FakeAgent.run(timeout: .seconds(100_000)) { agent, options in
            agent.play(.x509SVID, delay.script)
            let (log, looks) = (LogWatch(), Ledger<String>())
            let picker = SVIDPicker.custom("mine") { svids in
                for svid in svids { looks.add(svid.id.path) }
                return svids.first { $0.id.path == "/mine" }
            }
            let error = await withTaskGroup(of: WorkloadAPIError?.self) { group in
                group.addTask {
                    do throws(WorkloadAPIError) {
                        let source = try await X509Source.start(picking: picker, options: options.logging(to: log))
                        await source.close()
                        return nil
                    } catch { return error }
                }
                if let message = delay.message { try? await log.messages.wait(for: message, toReach: 1) }
                if let path = delay.picks { try? await looks.wait(for: path) }
                group.cancelAll()
                return await group.next() ?? nil
            }
            #expect(error?.code == delay.code, "\(error?.message ?? "")")
        }
    }

    @Test("when its time is up and nothing ever came, it says that")
    func timeout() async throws {
        try await FakeAgent.run(timeout: .milliseconds(50)) { agent, options in
            agent.play(.x509SVID, [.hang])
            let error = await #expect(throws: WorkloadAPIError.self) { try await X509Source.start(options: options) }
            #expect(error?.code == .timedOut)
        }
    }

    @Test("an unreachable socket is named when it is given up")
    func unreachable() async throws {
        try await TemporaryFolder.use { folder in
            let log = LogWatch()
            let options = try SourceOptions.reaching("\(folder)/nobody.sock").logging(to: log)
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    let error = await #expect(throws: WorkloadAPIError.self) {
                        try await X509Source.start(options: options)
                    }
                    #expect(error?.code == .unavailable)
                    #expect(error?.message.contains("nobody.sock") == true, "\(error?.message ?? "")")
                }
                try? await log.messages.wait(for: "stream ended")
                group.cancelAll()
            }
        }
    }

    @Test("cancelled, it ends promptly and leaves no call behind")
    func cancellation() async throws {
        try await FakeAgent.run(timeout: .seconds(100_000)) { agent, options in
            agent.play(.x509SVID, [.hang])
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        await #expect(throws: WorkloadAPIError.self) { try await X509Source.start(options: options) }
                    }
                }
                group.addTask { try? await agent.calls.wait(for: .x509SVID, toReach: 20) }
                // The agent has every call: the first task to end is the one that waited for that.
                await group.next()
                group.cancelAll()
            }
            try await agent.departures.wait(for: .x509SVID, toReach: 20)
        }
    }

    @Test("what an endpoint says in its status is one short line")
    func statusText() async throws {
        try await FakeAgent.run { agent, options in
            agent.play(.x509SVID, [.end(.invalidArgument, "a\nb\u{1B}[31m" + String(repeating: "x", count: 2000))])
            let error = await #expect(throws: WorkloadAPIError.self) { try await X509Source.start(options: options) }
            let message = try #require(error?.message)
            #expect(message.hasPrefix("a b [31mx") && message.unicodeScalars.count == 512)
        }
    }

    @Test("WLEP-18, E09: without an address nothing is guessed")
    func noEndpoint() throws {
        for environment in [[:], ["SPIFFE_ENDPOINT_SOCKET": ""], ["SPIFFE_ENDPOINT_SOCKET": "http://x"]] {
            let error = #expect(throws: WorkloadAPIError.self) { try WorkloadAPIClient(environment: environment) }
            #expect(error?.code == .noEndpoint)
        }
        let found = try WorkloadAPIClient(environment: ["SPIFFE_ENDPOINT_SOCKET": "unix:///run/agent.sock"])
        #expect(found.endpoint == .unix(path: "/run/agent.sock"))
    }
}
