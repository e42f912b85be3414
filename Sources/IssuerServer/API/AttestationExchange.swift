internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import NodeAttestation
internal import SwiftProtobuf

/// Asks a node over the stream on which it wants to be let in, within bounds.
actor AttestationExchange: ChallengeExchange {
    typealias Requests = RPCAsyncSequence<Spire_Api_Server_Agent_V1_AttestAgentRequest, any Error>

    private var requests: Requests.AsyncIterator
    private let response: RPCWriter<Spire_Api_Server_Agent_V1_AttestAgentResponse>
    private var challengesLeft = NodeAttestationLimits.challenges
    private var isWaiting = false

    init(_ requests: Requests, response: RPCWriter<Spire_Api_Server_Agent_V1_AttestAgentResponse>) {
        self.requests = requests.makeAsyncIterator()
        self.response = response
    }

    /// The message with which a node starts.
    ///
    /// - Throws: `RPCError` InvalidArgument when it is another one.
    func opening() async throws -> Spire_Api_Server_Agent_V1_AttestAgentRequest.Params {
        guard case .params(let params)? = try await next()?.step else {
            throw RPCError(code: .invalidArgument, message: "the first message must carry attestation data")
        }
        return params
    }

    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        guard challengesLeft > 0 else { throw .exchange("too many challenges") }
        challengesLeft -= 1
        let message: Spire_Api_Server_Agent_V1_AttestAgentRequest?
        do {
            try await response.write(.with { $0.challenge = Data(challenge) })
            message = try await next()
        } catch { throw .exchange("the node went away") }
        guard case .challengeResponse(let answer)? = message?.step else {
            throw .exchange("the node did not answer the challenge")
        }
        guard answer.count <= NodeAttestationLimits.answer else { throw .exchange("the answer is too long") }
        return Array(answer)
    }

    private func next() async throws -> Spire_Api_Server_Agent_V1_AttestAgentRequest? {
        // An attestor asks one thing at a time; two readers would take each other's answers.
        guard !isWaiting else { throw RPCError(code: .internalError, message: "") }
        isWaiting = true
        defer { isWaiting = false }
        var iterator = requests
        let message = try await iterator.next(isolation: self)
        requests = iterator
        return message
    }
}
