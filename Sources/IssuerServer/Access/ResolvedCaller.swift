internal import GRPCCore
internal import IssuerDomain

/// Who makes a call, once the table of methods has let it in.
struct ResolvedCaller: ServerContext.TransportSpecific {
    let caller: Caller
    /// What the caller was let in as.
    let callerClass: CallerClass
    let principal: Principal
    let rights: AccessRights
    /// Stands in every record of the call.
    let requestID: String

    /// Where registrations of this call are bound to; nil when they are not.
    func scopes(for rule: MethodRule) -> [RegistrationScope]? {
        guard rule.permission == .register, callerClass == .local || callerClass == .admin else { return nil }
        return rights.scopes
    }
}
