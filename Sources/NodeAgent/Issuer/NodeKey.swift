internal import Crypto
internal import NodeAttestation
internal import SPIFFE

/// The key by which this node comes back when its SVID has ended.
struct NodeKey: Sendable {
    let key: P256.Signing.PrivateKey
    /// Under which ID an issuer knows it; nil before it is registered.
    var agentID: SPIFFEID?

    var publicKey: [UInt8] { Array(key.publicKey.derRepresentation) }

    /// The key's own word that it is to be registered for an agent.
    func registration(of agentID: SPIFFEID) throws -> [UInt8] {
        Array(try key.signature(for: NodeKeyStatement.registration(agentID: "\(agentID)")).derRepresentation)
    }
}
