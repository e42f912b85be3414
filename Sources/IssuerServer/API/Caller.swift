internal import GRPCCore
internal import IssuerDomain
package import LinuxKernel
internal import Platform
internal import SPIFFE
package import WorkloadIdentity
internal import X509

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
}

/// What callers may be, and how a call finds out which it is.
struct AccessControl: Sendable {
    let agents: AgentRegistrar
    let clock: any WallClock

    /// Passes admins on the local socket.
    func requireLocal(_ context: ServerContext) throws(RPCError) {
        guard case .local? = context.transportSpecific as? Caller else {
            throw RPCError(code: .permissionDenied, message: "this call is for the local admin socket")
        }
    }

    /// Passes agents that are attested, active and not banned.
    func requireAgent(_ context: ServerContext) async throws -> AttestedAgent {
        guard let svid = (context.transportSpecific as? Caller)?.svid else { throw AgentRefusal.notAttested }
        return try await agents.authorize(
            svid.id, serial: SerialNumber.text(svid.leaf.serialNumber), end: svid.leaf.notValidAfter, now: clock.now)
    }

    /// Passes admins on the local socket, and agents.
    func requireLocalOrAgent(_ context: ServerContext) async throws {
        if case .local? = context.transportSpecific as? Caller { return }
        _ = try await requireAgent(context)
    }

    /// Passes anyone whose transport is known.
    func requireKnown(_ context: ServerContext) throws(RPCError) -> Caller {
        guard let caller = context.transportSpecific as? Caller else {
            throw RPCError(code: .unauthenticated, message: "connection is closed")
        }
        return caller
    }
}
