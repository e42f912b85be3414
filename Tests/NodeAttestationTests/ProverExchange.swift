import NodeAttestation
import Synchronization

/// Carries challenges to the agent's half, and lets a test see and change what goes by.
final class ProverExchange: ChallengeExchange {
    private let respond: @Sendable ([UInt8]) async throws(NodeAttestationError) -> [UInt8]
    private let seen = Mutex<[(challenge: [UInt8], answer: [UInt8])]>([])

    init(_ respond: @escaping @Sendable ([UInt8]) async throws(NodeAttestationError) -> [UInt8]) {
        self.respond = respond
    }

    convenience init(_ prover: any NodeProver) {
        self.init { (challenge) async throws(NodeAttestationError) in try await prover.answer(to: challenge) }
    }

    /// What was asked, and what was answered.
    var exchanged: [(challenge: [UInt8], answer: [UInt8])] { seen.withLock { $0 } }

    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        let answer = try await respond(challenge)
        seen.withLock { $0.append((challenge, answer)) }
        return answer
    }
}
