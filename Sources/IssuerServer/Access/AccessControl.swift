internal import GRPCCore
internal import IssuerDomain
internal import Platform
internal import SPIFFE
internal import X509

/// What a handler asks of the caller that ``AccessGate`` let in.
struct AccessControl: Sendable {
    let agents: AgentRegistrar
    let clock: any WallClock

    /// The caller of a call that came through the gate.
    ///
    /// - Throws: `RPCError` Unauthenticated for one that did not.
    func resolved(_ context: ServerContext) throws(RPCError) -> ResolvedCaller {
        guard let resolved = context.transportSpecific as? ResolvedCaller else {
            throw RPCError(code: .unauthenticated, message: "connection is closed")
        }
        return resolved
    }

    /// Passes those who were let in by a role, whether over the admin socket or over the network.
    func requireLocal(_ context: ServerContext) throws(RPCError) {
        switch try resolved(context).callerClass {
        case .local, .admin: return
        case .any, .agent, .downstream:
            throw RPCError(code: .permissionDenied, message: "this call is for admins")
        }
    }

    /// Passes those who may register entries within scopes, if `isBound`, or anywhere.
    func requireRegistrar(_ context: ServerContext, isBound: Bool) throws(RPCError) {
        try requireLocal(context)
        let resolved = try resolved(context)
        guard resolved.rights.permissions.contains(.register), isBound || resolved.rights.scopes == nil else {
            throw RPCError(
                code: .permissionDenied,
                message: """
                    \(resolved.principal) has no role with the right to register\(isBound ? "" : " without a scope"), \
                    which this call needs
                    """)
        }
    }

    /// Passes agents that are attested, active and not banned; asked again, it judges again.
    func requireAgent(_ context: ServerContext) async throws -> AttestedAgent {
        guard let svid = try resolved(context).caller.svid else { throw AgentRefusal.notAttested }
        return try await agents.authorize(
            svid.id, serial: SerialNumber.text(svid.leaf.serialNumber), end: svid.leaf.notValidAfter, now: clock.now)
    }

    /// Passes servers below this one, and names them.
    func requireDownstream(_ context: ServerContext) throws(RPCError) -> SPIFFEID {
        let resolved = try resolved(context)
        guard resolved.callerClass == .downstream, let svid = resolved.caller.svid else {
            throw RPCError(code: .permissionDenied, message: "this call is for downstream servers")
        }
        return svid.id
    }

    /// Passes those who were let in by a role, and agents.
    func requireLocalOrAgent(_ context: ServerContext) async throws {
        switch try resolved(context).callerClass {
        case .local, .admin: return
        case .any, .agent, .downstream: _ = try await requireAgent(context)
        }
    }

    /// Passes anyone whose transport is known.
    func requireKnown(_ context: ServerContext) throws(RPCError) -> Caller { try resolved(context).caller }
}
