internal import Foundation
internal import Platform
package import SPIFFE

/// Lets nodes back in that joined by a token and registered a key then: `mintmark_node_key`.
package struct NodeKeyAttestor: NodeAttestor {
    package static let type = "mintmark_node_key"

    private let registeredKey: @Sendable (SPIFFEID) -> [UInt8]?

    /// Creates an attestor.
    ///
    /// - Parameter registeredKey: The key of an agent that may come back, SubjectPublicKeyInfo in DER; nil for everyone
    ///   else.
    package init(registeredKey: @escaping @Sendable (SPIFFEID) -> [UInt8]?) { self.registeredKey = registeredKey }

    package var type: String { Self.type }
    package var canReattest: Bool { true }

    /// Whose a payload claims to be; nothing of it is proven.
    package static func claimedID(in payload: [UInt8]) -> String? { try? NodeKeyMessages.agentID(in: payload) }

    package func attest(
        _ payload: [UInt8], context: NodeAttestationContext, exchange: any ChallengeExchange
    ) async throws(NodeAttestationError) -> AttestedNode {
        guard let id = try? SPIFFEID(try NodeKeyMessages.agentID(in: payload)) else {
            throw .malformed("payload names no agent")
        }
        let prefix = "/spire/agent/"
        guard id.trustDomain == context.trustDomain, id.path.hasPrefix(prefix) else {
            throw .refused("the node's key is not known")
        }
        // Whether there is such an agent shows only at the end: who asks learns no more than by guessing.
        let nonce = PossessionNonces.draw()
        let answer = try await exchange.answer(to: NodeKeyMessages.challenge(nonce: nonce))
        let (theirs, signature) = try NodeKeyMessages.answer(in: answer)
        let statement = NodeKeyStatement.attestation(
            try PossessionNonces(challenger: nonce, responder: theirs), agentKey: context.agentKey)
        guard let key = registeredKey(id),
            NodeKeyStatement.hasSigned(statement, publicKey: key, signature: signature)
        else { throw .refused("the node's key is not known") }
        return AttestedNode(path: String(id.path.dropFirst(prefix.count)), selectors: [], canReattest: true)
    }
}
