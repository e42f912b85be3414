package import Crypto
internal import Foundation
package import SPIFFE

/// Proves the key that this node registered when it joined: the agent's half of `mintmark_node_key`.
package struct NodeKeyProver: NodeProver {
    private let key: P256.Signing.PrivateKey
    private let agentID: SPIFFEID
    private let agentKey: [UInt8]

    /// Creates a prover for one attestation.
    ///
    /// - Parameters:
    ///   - key: The node's key.
    ///   - agentID: The ID under which it is registered.
    ///   - agentKey: SubjectPublicKeyInfo of the key that the new SVID will have, DER.
    package init(key: P256.Signing.PrivateKey, agentID: SPIFFEID, agentKey: [UInt8]) {
        (self.key, self.agentID, self.agentKey) = (key, agentID, agentKey)
    }

    package var type: String { NodeKeyAttestor.type }

    package func payload() async throws(NodeAttestationError) -> [UInt8] {
        NodeKeyMessages.payload(agentID: "\(agentID)")
    }

    package func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        let nonces = try PossessionNonces(
            challenger: try NodeKeyMessages.nonce(in: challenge), responder: PossessionNonces.draw())
        let statement = NodeKeyStatement.attestation(nonces, agentKey: agentKey)
        guard let signature = try? key.signature(for: statement) else {
            throw .unavailable("the node's key does not sign")
        }
        return NodeKeyMessages.answer(nonce: nonces.responder, signature: Array(signature.derRepresentation))
    }
}
