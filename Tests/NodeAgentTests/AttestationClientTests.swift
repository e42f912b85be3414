import AgentDomain
import Bootstrap
import Foundation
import GRPCCore
import GRPCInProcessTransport
import GRPCProtobuf
import IssuerAPIProtos
import Logging
import NodeAgent
import NodeAttestation
import Platform
import SPIFFE
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

@Suite("Attestation of this node by an issuer of another make")
struct AttestationClientTests {
    @Test("shows a join token as SPIRE's issuer takes it: its text and nothing else")
    func joinToken() async throws {
        let issuer = ScriptedIssuer(challenges: [])
        let answer = try await with(issuer) { (client) async throws(IssuerClientError) in
            try await client.attest(JoinTokenProver(SecretText("a-token")), csr: [7])
        }
        #expect(answer.chain == [[1, 2]])
        #expect(!answer.canReattest)
        let opening = try #require(issuer.opening)
        #expect(opening.data.type == "join_token")
        #expect(opening.data.payload == Data("a-token".utf8))
        #expect(opening.params.csr == Data([7]))
    }

    @Test("answers each challenge on the same stream, and says whether it may repeat its proof")
    func challenges() async throws {
        let issuer = ScriptedIssuer(challenges: [[1], [2, 3]], canReattest: true)
        let prover = EchoProver()
        let answer = try await with(issuer) { (client) async throws(IssuerClientError) in
            try await client.attest(prover, csr: [7])
        }
        #expect(answer.canReattest)
        #expect(issuer.answers == [[1, 9], [2, 3, 9]])
        #expect(prover.finished.withLock { $0 } == 1)
    }

    @Test("stops at an issuer that asks without end, and lets go of what it took")
    func tooManyChallenges() async throws {
        let issuer = ScriptedIssuer(challenges: [[UInt8]](repeating: [1], count: 9))
        let prover = EchoProver()
        await #expect(throws: IssuerClientError.self) {
            _ = try await with(issuer) { (client) async throws(IssuerClientError) in
                try await client.attest(prover, csr: [7])
            }
        }
        #expect(prover.finished.withLock { $0 } == 1)
    }

    @Test("says that it cannot prove itself when its own half fails, before or after a challenge")
    func unproven() async throws {
        for prover in [EchoProver(failsAt: .payload), EchoProver(failsAt: .answer)] {
            let issuer = ScriptedIssuer(challenges: [[1]])
            do throws(IssuerClientError) {
                _ = try await with(issuer) { (client) async throws(IssuerClientError) in
                    try await client.attest(prover, csr: [7])
                }
                Issue.record("attested")
            } catch {
                guard case .unproven = error else {
                    Issue.record("\(error)")
                    continue
                }
            }
        }
    }

    @Test("goes on without a node key where the issuer keeps none")
    func noNodeKeys() async throws {
        do throws(IssuerClientError) {
            try await with(ScriptedIssuer(challenges: [])) { (client) async throws(IssuerClientError) in
                try await client.registerNodeKey(publicKey: [1], signature: [2])
            }
            Issue.record("registered")
        } catch {
            guard case .refused = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    private func with<Value: Sendable>(
        _ issuer: ScriptedIssuer,
        _ body: @Sendable (GRPCIssuerClient<InProcessTransport.Client>) async throws(IssuerClientError) -> Value
    ) async throws(IssuerClientError) -> Value {
        let transport = InProcessTransport()
        let server = GRPCServer(transport: transport.server, services: [issuer])
        let rotating = RotatingClient(transport.client)
        let result: Result<Value, IssuerClientError>
        do {
            let client = GRPCIssuerClient(
                rotating, trustDomain: try TrustDomain("example.org"), logger: LogCollector().logger())
            result = await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.serve() }
                group.addTask { try await rotating.run() }
                defer { group.cancelAll() }
                do throws(IssuerClientError) { return .success(try await body(client)) } catch {
                    return .failure(error)
                }
            }
        } catch { throw .badAnswer(detail: "\(error)") }
        return try result.get()
    }
}

/// Adds a 9 to every challenge.
private final class EchoProver: NodeProver {
    enum Step {
        case payload, answer
    }

    let finished = Mutex(0)
    private let failsAt: Step?

    init(failsAt: Step? = nil) { self.failsAt = failsAt }

    var type: String { "echo" }

    func payload() async throws(NodeAttestationError) -> [UInt8] {
        guard failsAt != .payload else { throw .unavailable("no key") }
        return [5]
    }

    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        guard failsAt != .answer else { throw .unavailable("no key") }
        return challenge + [9]
    }

    func finish() async { finished.withLock { $0 += 1 } }
}

/// Plays the attestation of SPIRE's issuer, and knows none of our own services.
private final class ScriptedIssuer: Spire_Api_Server_Agent_V1_Agent.SimpleServiceProtocol {
    private let challenges: [[UInt8]]
    private let canReattest: Bool
    private let heard = Mutex(Heard())

    private struct Heard {
        var opening: Spire_Api_Server_Agent_V1_AttestAgentRequest.Params?
        var answers: [[UInt8]] = []
    }

    init(challenges: [[UInt8]], canReattest: Bool = false) {
        (self.challenges, self.canReattest) = (challenges, canReattest)
    }

    var opening: Spire_Api_Server_Agent_V1_AttestAgentRequest.Params? { heard.withLock { $0.opening } }
    var answers: [[UInt8]] { heard.withLock { $0.answers } }

    func attestAgent(
        request: RPCAsyncSequence<Spire_Api_Server_Agent_V1_AttestAgentRequest, any Error>,
        response: RPCWriter<Spire_Api_Server_Agent_V1_AttestAgentResponse>, context: ServerContext
    ) async throws {
        var requests = request.makeAsyncIterator()
        guard case .params(let params)? = try await requests.next()?.step else { throw Self.unknown }
        heard.withLock { $0.opening = params }
        for challenge in challenges {
            try await response.write(.with { $0.challenge = Data(challenge) })
            guard case .challengeResponse(let answer)? = try await requests.next()?.step else { throw Self.unknown }
            heard.withLock { $0.answers.append(Array(answer)) }
        }
        try await response.write(
            .with {
                $0.result = .with {
                    $0.svid.certChain = [Data([1, 2])]
                    $0.reattestable = canReattest
                }
            })
    }

    private static let unknown = RPCError(code: .invalidArgument, message: "not what was expected")

    func countAgents(
        request: Spire_Api_Server_Agent_V1_CountAgentsRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Agent_V1_CountAgentsResponse { throw Self.unknown }

    func listAgents(
        request: Spire_Api_Server_Agent_V1_ListAgentsRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Agent_V1_ListAgentsResponse { throw Self.unknown }

    func getAgent(
        request: Spire_Api_Server_Agent_V1_GetAgentRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Agent { throw Self.unknown }

    func deleteAgent(
        request: Spire_Api_Server_Agent_V1_DeleteAgentRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty { throw Self.unknown }

    func banAgent(
        request: Spire_Api_Server_Agent_V1_BanAgentRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty { throw Self.unknown }

    func renewAgent(
        request: Spire_Api_Server_Agent_V1_RenewAgentRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Agent_V1_RenewAgentResponse { throw Self.unknown }

    func createJoinToken(
        request: Spire_Api_Server_Agent_V1_CreateJoinTokenRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_JoinToken { throw Self.unknown }

    func postStatus(
        request: Spire_Api_Server_Agent_V1_PostStatusRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Agent_V1_PostStatusResponse { throw Self.unknown }
}
