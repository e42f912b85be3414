internal import GRPCCore
package import LinuxKernel
internal import SPIFFE
package import WorkloadIdentity

/// Who makes a call, as the transport that carried it knows.
package enum Caller: ServerContext.TransportSpecific {
    /// A process on this machine that may open the admin socket.
    case local(PeerCredentials)
    /// Somebody over TLS, with or without a certificate.
    case remote(TLSPeer)
    /// The agent half of the same process.
    case embedded(EmbeddedPeer)

    /// The verified X.509-SVID behind the call, if there is one.
    var svid: VerifiedX509SVID? {
        switch self {
        case .local: nil
        case .remote(let peer): peer.svid
        case .embedded(let peer): peer.svid
        }
    }

    /// Whether the call came over the network.
    var isRemote: Bool {
        if case .remote = self { true } else { false }
    }
}
