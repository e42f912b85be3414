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

    /// Where changes of entries by this call are bound to, whatever the method is for; nil when they are not.
    ///
    /// Whoever was let in by another right than that to register is bound to nowhere.
    var scopes: [RegistrationScope]? {
        guard callerClass == .local || callerClass == .admin else { return [] }
        return rights.scopes
    }
}
