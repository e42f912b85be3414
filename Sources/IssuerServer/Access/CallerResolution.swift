internal import Foundation
internal import GRPCCore
internal import IssuerDomain
internal import LinuxKernel
internal import Platform
internal import SPIFFE
internal import X509

/// Finds out who calls, and judges it by a row of the table.
struct CallerResolution: Sendable {
    let policy: AccessPolicy
    let agents: AgentRegistrar
    let entries: GuardedEntryStore
    let tokens: (any BearerTokenJudge)?
    /// Whether a server of this tier signed an SVID; what others signed that the bundle vouches for is nobody's power.
    let isOfThisTier: @Sendable (VerifiedX509SVID) -> Bool
    let clock: any WallClock

    /// Judges a call.
    ///
    /// - Parameters:
    ///   - rule: The row for the method.
    ///   - context: What the transport knows.
    ///   - metadata: May carry a bearer token.
    ///   - requestID: Stands in every record of the call.
    /// - Returns: The caller, with the class that lets it in.
    /// - Throws: `RPCError` or ``AgentRefusal``, with the reason that agents act upon.
    func admit(
        _ rule: MethodRule, _ context: ServerContext, metadata: Metadata, requestID: String
    ) async throws -> ResolvedCaller {
        guard let caller = context.transportSpecific as? Caller else {
            throw RPCError(code: .unauthenticated, message: "connection is closed")
        }
        let (principal, rights) = try await standing(of: caller, context, metadata: metadata, for: rule)
        func resolved(as callerClass: CallerClass) -> ResolvedCaller {
            ResolvedCaller(
                caller: caller, callerClass: callerClass, principal: principal, rights: rights, requestID: requestID)
        }
        if rule.callers.contains(.any) { return resolved(as: .any) }
        if let permission = rule.permission, rights.permissions.contains(permission) {
            if case .local = caller {
                if rule.callers.contains(.local) { return resolved(as: .local) }
            } else if rule.callers.contains(.admin) {
                return resolved(as: .admin)
            }
        }
        if rule.callers.contains(.agent) {
            guard let svid = caller.svid else { throw AgentRefusal.notAttested }
            guard isOfThisTier(svid) else { throw AgentRefusal.notActive }
            _ = try await agents.authorize(
                svid.id, serial: SerialNumber.text(svid.leaf.serialNumber), end: svid.leaf.notValidAfter,
                now: clock.now)
            return resolved(as: .agent)
        }
        if rule.callers.contains(.downstream), let svid = caller.svid, isGood(svid),
            entries.holdsDownstreamEntry(svid.id, now: clock.now)
        {
            return resolved(as: .downstream)
        }
        if let svid = caller.svid, hasEnded(svid) {
            throw RPCError(code: .unauthenticated, message: "the SVID of this connection has ended; connect anew")
        }
        throw RPCError(code: .permissionDenied, message: Self.refusal(of: rule, to: principal, caller))
    }

    /// Whether an SVID gives power still: a connection outlasts the handshake in which it was verified.
    private func isGood(_ svid: VerifiedX509SVID) -> Bool { !hasEnded(svid) && isOfThisTier(svid) }

    private func hasEnded(_ svid: VerifiedX509SVID) -> Bool {
        let now = clock.now
        return svid.chain.contains { $0.notValidAfter <= now }
    }

    /// Who a caller is, as far as can be told without judging anything.
    static func principal(of caller: Caller?, _ context: ServerContext) -> Principal {
        switch caller {
        case .local(let credentials)?:
            .account(uid: credentials.uid, gid: credentials.gid, groups: Set(credentials.groups))
        case .remote?, .embedded?:
            caller?.svid.map { .spiffeID($0.id) }
                ?? .stranger(address: PeerAddress(context.remotePeer).description)
        case nil: .stranger(address: PeerAddress(context.remotePeer).description)
        }
    }

    /// Only a call that a role could let in is worth looking for roles.
    private func standing(
        of caller: Caller, _ context: ServerContext, metadata: Metadata, for rule: MethodRule
    ) async throws -> (Principal, AccessRights) {
        let principal = Self.principal(of: caller, context)
        guard rule.permission != nil, !rule.callers.contains(.any) else { return (principal, AccessRights()) }
        if caller.isRemote, let bearer = try await tokens?.bearer(in: metadata, now: clock.now) {
            return (bearer.principal, policy.rights(of: bearer.principal, claims: bearer.claims))
        }
        if let svid = caller.svid, !isGood(svid) { return (principal, AccessRights()) }
        let holdsAdminEntry = caller.svid.map { entries.holdsAdminEntry($0.id, now: clock.now) } ?? false
        return (principal, policy.rights(of: principal, holdsAdminEntry: holdsAdminEntry))
    }

    private static func refusal(of rule: MethodRule, to principal: Principal, _ caller: Caller) -> String {
        switch rule.permission {
        case let permission? where rule.callers == [.local] && caller.isRemote:
            "this call is for the local admin socket, with the right to \(permission.rawValue)"
        case let permission?: "\(principal) has no role with the right to \(permission.rawValue), which this call needs"
        case nil: "this call is for \(rule.callers.map(\.rawValue).sorted().joined(separator: " and ")) callers"
        }
    }
}

/// Judges bearer tokens.
protocol BearerTokenJudge: Sendable {
    /// Finds and verifies the token of a call.
    ///
    /// - Returns: nil when the call carries none.
    /// - Throws: `RPCError` Unauthenticated when it does and the token is not good.
    func bearer(in metadata: Metadata, now: Date) async throws(RPCError) -> Bearer?
}

/// Whoever bears a verified token.
struct Bearer: Sendable {
    let principal: Principal
    /// Texts by the claim that states them.
    let claims: [String: [String]]
}
