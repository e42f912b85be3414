import Crypto
import Foundation
import Bootstrap
import GRPCCore
import GRPCProtobuf
import IssuerAPIProtos
import IssuerServer
import NodeAttestation
import Platform
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing

@Suite("Attestation over the wire")
struct NodeAttestationServiceTests {
    @Test("A node answers challenges on its stream and gets an SVID with its selectors on record")
    func challenges() async throws {
        try await TestServer.run(nodeAttestors: [AskingAttestor(questions: 4)]) { server in
            let answer = try await server.node.attest("asking", payload: "one", answers: [1, 2, 3, 4])
            #expect(answer.challenges == [[1], [2], [3], [4]])
            #expect(answer.result?.reattestable == true)
            #expect(answer.result?.svid.id.path == "/spire/agent/asking/one")
            let agent = try await server.admin.agents.getAgent(.with { $0.id = .example("/spire/agent/asking/one") })
            #expect(agent.selectors.map { "\($0.type):\($0.value)" } == ["asking:name:one"])
            #expect(agent.attestationType == "asking")
            #expect(agent.canReattest)
            let found = try await server.admin.agents.listAgents(
                .with { $0.filter.bySelectorMatch = .with { $0.selectors = agent.selectors } })
            #expect(found.agents.count == 1)
        }
    }

    @Test("An attestor may not ask without end, nor a node answer without end, nor go away")
    func bounds() async throws {
        try await TestServer.run(nodeAttestors: [AskingAttestor(questions: 5)]) { server in
            try await expectCode(.aborted) {
                _ = try await server.node.attest("asking", payload: "one", answers: [1, 2, 3, 4, 5])
            }
        }
        try await TestServer.run(nodeAttestors: [AskingAttestor(questions: 1)]) { server in
            try await expectCode(.aborted) { _ = try await server.node.attest("asking", payload: "one", answers: []) }
            try await expectCode(.invalidArgument) {
                _ = try await server.node.attest("asking", payload: Data(count: 65 << 10))
            }
            let long = [UInt8](repeating: 1, count: (64 << 10) + 1)
            try await expectCode(.aborted) {
                _ = try await server.node.attest("asking", payload: "one", rawAnswers: [long])
            }
            #expect(try await server.admin.agents.countAgents(.init()).count == 0)
        }
    }

    @Test(
        "What proves nothing is refused as such, and unreadable data as unreadable",
        arguments: [
            ("malformed", RPCError.Code.invalidArgument), ("refused", .permissionDenied), ("unavailable", .unavailable),
            ("/etc", .permissionDenied), ("..", .permissionDenied), ("", .permissionDenied),
        ])
    func refusals(payload: String, expected: RPCError.Code) async throws {
        try await TestServer.run(nodeAttestors: [AskingAttestor(questions: 0)]) { server in
            try await expectCode(expected) {
                _ = try await server.node.attest("asking", payload: payload, answers: [])
            }
        }
    }

    @Test("An agent that can repeat its proof is told to, in words that SPIRE's agents act on")
    func mustReattest() async throws {
        try await TestServer.run(nodeAttestors: [AskingAttestor(questions: 0)]) { server in
            let joined = try await server.node.attest("asking", payload: Data("one".utf8))
            try await server.present(joined)
            let csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
            let error = await #expect(throws: RPCError.self) {
                _ = try await server.node.agents.renewAgent(.with { $0.params = .with { $0.csr = Data(csr) } })
            }
            #expect(error?.code == .permissionDenied)
            let details = try #require(try error?.unpackGoogleRPCStatus()?.details.first?.any)
            let reason = try Spire_Api_Types_PermissionDeniedDetails(unpackingAny: details).reason
            #expect(reason == .agentMustReattest)
        }
    }

    @Test("What is trusted on first use is refused a second time, until it is evicted")
    func firstUse() async throws {
        try await TestServer.run(nodeAttestors: [AskingAttestor(questions: 0, canReattest: false)]) { server in
            let joined = try await server.node.attest("asking", payload: Data("one".utf8))
            #expect(!joined.canReattest)
            try await expectCode(.permissionDenied) {
                _ = try await server.node.attest("asking", payload: Data("one".utf8))
            }
            _ = try await server.admin.agents.deleteAgent(.with { $0.id = joined.agentID })
            #expect(try await server.node.attest("asking", payload: Data("one".utf8)).id == joined.id)
        }
    }

    @Test("An agent registers its node key, and comes back by it when its SVID has ended")
    func nodeKey() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let key = P256.Signing.PrivateKey()
            let signature = try key.signature(for: NodeKeyStatement.registration(agentID: "\(joined.id)"))
            try await expectCode(.invalidArgument) {
                _ = try await server.node.nodes.registerNodeKey(
                    .with {
                        $0.publicKey = P256.Signing.PrivateKey().publicKey.derRepresentation
                        $0.signature = signature.derRepresentation
                    })
            }
            _ = try await server.node.nodes.registerNodeKey(
                .with {
                    $0.publicKey = key.publicKey.derRepresentation
                    $0.signature = signature.derRepresentation
                })
            server.clock.advance(by: .seconds(7200))
            let svidKey = P256.Signing.PrivateKey()
            let prover = NodeKeyProver(
                key: key, agentID: joined.id, agentKey: Array(svidKey.publicKey.derRepresentation))
            let back = try await server.node.attest(prover, svidKey)
            #expect(back.result?.svid.id == joined.agentID)
            // The same proof for another key: what a thief on the way could try.
            try await expectCode(.permissionDenied) {
                _ = try await server.node.attest(prover, P256.Signing.PrivateKey())
            }
            _ = try await server.admin.agents.banAgent(.with { $0.id = joined.agentID })
            try await expectCode(.permissionDenied) { _ = try await server.node.attest(prover, svidKey) }
        }
    }

    @Test("An agent that can repeat its proof registers no node key, and comes back by none")
    func noNodeKey() async throws {
        try await TestServer.run(nodeAttestors: [AskingAttestor(questions: 0)]) { server in
            let joined = try await server.node.attest("asking", payload: Data("one".utf8))
            try await server.present(joined)
            let key = P256.Signing.PrivateKey()
            let signature = try key.signature(for: NodeKeyStatement.registration(agentID: "\(joined.id)"))
            try await expectCode(.permissionDenied) {
                _ = try await server.node.nodes.registerNodeKey(
                    .with {
                        $0.publicKey = key.publicKey.derRepresentation
                        $0.signature = signature.derRepresentation
                    })
            }
            let svidKey = P256.Signing.PrivateKey()
            let prover = NodeKeyProver(
                key: key, agentID: joined.id, agentKey: Array(svidKey.publicKey.derRepresentation))
            try await expectCode(.permissionDenied) { _ = try await server.node.attest(prover, svidKey) }
        }
    }

    @Test("A node that says nothing, or stops in the middle, does not keep its call", arguments: [true, false])
    func silence(isFromTheStart: Bool) async throws {
        let attestors = [AskingAttestor(questions: 1)]
        try await TestServer.run(nodeAttestors: attestors, patience: .milliseconds(200)) { server in
            let began = ContinuousClock.now
            try await expectCode(.aborted) {
                try await server.node.agents.attestAgent { writer in
                    if !isFromTheStart {
                        let csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
                        try await writer.write(
                            .with {
                                $0.params = .with {
                                    $0.data = .with { ($0.type, $0.payload) = ("asking", Data("one".utf8)) }
                                    $0.params = .with { $0.csr = Data(csr) }
                                }
                            })
                    }
                    try? await Task.sleep(for: .seconds(20))
                } onResponse: { response in
                    for try await _ in response.messages {}
                }
            }
            #expect(ContinuousClock.now - began < .seconds(10))
        }
    }

    @Test("What an agent says of itself, and when it was last heard of, is shown to admins")
    func status() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let silent = try await server.join()
            _ = try await server.node.agents.postStatus(.with { ($0.agentVersion, $0.currentBundleSerial) = ("1", 42) })
            let ids = [joined, silent].map { "\($0.id)" } + ["spiffe://example.org/spire/agent/none"]
            let nodes = try await server.admin.nodes.getStatus(.with { $0.agentIds = ids }).nodes
            #expect(nodes.map(\.agentID) == Array(ids.prefix(2)))
            #expect(nodes[0].bundleSerial == 42 && nodes[0].lastSeenAt == 1_800_000_000)
            #expect(!nodes[1].hasBundleSerial && !nodes[1].hasLastSeenAt)
            try await expectCode(.invalidArgument) {
                _ = try await server.admin.nodes.getStatus(.with { $0.agentIds = ["nonsense"] })
            }
            let many = [String](repeating: ids[0], count: 1001)
            try await expectCode(.invalidArgument) {
                _ = try await server.admin.nodes.getStatus(.with { $0.agentIds = many })
            }
            try await expectCode(.permissionDenied) { _ = try await server.node.nodes.getStatus(.init()) }
        }
    }

    @Test("Only agents register node keys, and only admins see to rollbacks")
    func callers() async throws {
        try await TestServer.run { server in
            try await expectCode(.permissionDenied) { _ = try await server.admin.nodes.registerNodeKey(.init()) }
            try await expectCode(.permissionDenied) { _ = try await server.node.nodes.registerNodeKey(.init()) }
            _ = try await server.joinAndPresent()
            try await expectCode(.permissionDenied) { _ = try await server.node.nodes.getRollback(.init()) }
            try await expectCode(.permissionDenied) { _ = try await server.node.nodes.acceptRollback(.init()) }
            #expect(try await server.admin.nodes.getRollback(.init()).found == false)
            #expect(try await server.admin.nodes.acceptRollback(.init()).accepted == false)
        }
    }

    @Test("A mark that cannot be read keeps the issuer from starting, and one that is ahead shows")
    func marks() async throws {
        try await TemporaryFolder.use { folder in
            let clock = ManualClock(TestServer.start)
            try await TestServer.run(in: folder, clock: clock) { _ = try await $0.join() }
            let mark = "\(folder)/store.db-mark"
            #expect(try String(contentsOfFile: mark, encoding: .utf8) == "1\n")
            try "7\n".write(toFile: mark, atomically: true, encoding: .utf8)
            try await TestServer.run(in: folder, clock: clock) { server in
                let rollback = try await server.admin.nodes.getRollback(.init())
                #expect(rollback.found && rollback.storedRevision == 1 && rollback.markedRevision == 7)
                try await expectCode(.failedPrecondition) { _ = try await server.join() }
                #expect(try await server.admin.nodes.acceptRollback(.init()).droppedTokens == 2)
                _ = try await server.join()
            }
            #expect(try String(contentsOfFile: mark, encoding: .utf8) == "8\n")
            try FileManager.default.removeItem(atPath: mark)
            try await TestServer.run(in: folder, clock: clock) { server in
                let rollback = try await server.admin.nodes.getRollback(.init())
                #expect(rollback.found && rollback.storedRevision == 8 && !rollback.hasMarkedRevision)
                try await expectCode(.failedPrecondition) { _ = try await server.join() }
                #expect(try await server.admin.nodes.acceptRollback(.init()).accepted)
            }
            #expect(try String(contentsOfFile: mark, encoding: .utf8) == "8\n")
            try "nonsense".write(toFile: mark, atomically: true, encoding: .utf8)
            await #expect(throws: Failure.self) {
                try await TestServer.run(in: folder, clock: clock) { _ in }
            }
        }
    }
}

/// Asks so many questions, and then believes what the payload says.
private struct AskingAttestor: NodeAttestor {
    let questions: UInt8
    var canReattest = true

    var type: String { "asking" }

    func attest(
        _ payload: [UInt8], context: NodeAttestationContext, exchange: any ChallengeExchange
    ) async throws(NodeAttestationError) -> AttestedNode {
        let name = String(decoding: payload, as: UTF8.self)
        switch name {
        case "malformed": throw .malformed("as asked")
        case "refused": throw .refused("as asked")
        case "unavailable": throw .unavailable("as asked")
        default: break
        }
        for question in 0..<questions {
            guard try await exchange.answer(to: [question + 1]) == [question + 1] else { throw .refused("wrong") }
        }
        let selector = try? Selector(kind: type, value: "name:\(name)")
        return AttestedNode(
            path: "\(type)/\(name)", selectors: [selector].compactMap(\.self), canReattest: canReattest)
    }
}

/// What came back on a stream.
private struct Answered: Sendable {
    var challenges: [[UInt8]] = []
    var result: Spire_Api_Server_Agent_V1_AttestAgentResponse.Result?
}

extension Clients {
    /// Asks to be let in, answering each challenge with the next of some bytes; goes away when there are none left.
    fileprivate func attest(_ type: String, payload: String, answers: [UInt8]) async throws -> Answered {
        try await attest(type, payload: payload, rawAnswers: answers.map { [$0] })
    }

    fileprivate func attest(_ type: String, payload: String, rawAnswers: [[UInt8]]) async throws -> Answered {
        let csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
        return try await hold(type, Array(payload.utf8), csr: csr) { number, _ in
            number < rawAnswers.count ? rawAnswers[number] : nil
        }
    }

    /// Asks to be let in by a prover.
    fileprivate func attest(_ prover: NodeKeyProver, _ key: P256.Signing.PrivateKey) async throws -> Answered {
        let csr = try SigningRequestMaker.request(signedBy: key)
        return try await hold(prover.type, try await prover.payload(), csr: csr) { _, challenge in
            try await prover.answer(to: challenge)
        }
    }

    private func hold(
        _ type: String, _ payload: [UInt8], csr: [UInt8],
        answer: @escaping @Sendable (Int, [UInt8]) async throws -> [UInt8]?
    ) async throws -> Answered {
        let (stream, more) = AsyncStream.makeStream(of: Spire_Api_Server_Agent_V1_AttestAgentRequest.self)
        return try await agents.attestAgent { writer in
            try await writer.write(
                .with {
                    $0.params = .with {
                        $0.data = .with {
                            $0.type = type
                            $0.payload = Data(payload)
                        }
                        $0.params = .with { $0.csr = Data(csr) }
                    }
                })
            for await message in stream { try await writer.write(message) }
        } onResponse: { response in
            defer { more.finish() }
            var answered = Answered()
            for try await message in response.messages {
                switch message.step {
                case .challenge(let challenge)?:
                    answered.challenges.append(Array(challenge))
                    if let bytes = try await answer(answered.challenges.count - 1, Array(challenge)) {
                        more.yield(.with { $0.challengeResponse = Data(bytes) })
                    } else {
                        more.finish()
                    }
                case .result(let result)?: answered.result = result
                case nil: Issue.record("an empty message")
                }
            }
            return answered
        }
    }
}
