internal import Crypto
internal import NodeAttestation
internal import SPIFFE

/// The key by which this node comes back when its SVID has ended.
struct NodeKey: Sendable {
    let key: P256.Signing.PrivateKey
    /// Under which ID an issuer knows it, or may know it; nil before it was told.
    var agentID: SPIFFEID?
    /// Whether the issuer has said that it knows it.
    ///
    /// One that was told and has not answered may know the key as well: an agent that ended in between tries it.
    var isRegistered: Bool

    var publicKey: [UInt8] { Array(key.publicKey.derRepresentation) }

    /// The key's own word that it is to be registered for an agent.
    func registration(of agentID: SPIFFEID) throws -> [UInt8] {
        Array(try key.signature(for: NodeKeyStatement.registration(agentID: "\(agentID)")).derRepresentation)
    }
}
