public import GRPCCore
public import WorkloadIdentity

/// What a caller is told: the kind of refusal, and nothing of the reason.
extension PeerRefusal: RPCErrorConvertible {
    /// The status.
    public var rpcErrorCode: RPCError.Code {
        switch code {
        case .notAuthorized: .permissionDenied
        case .unavailable: .unavailable
        // Codes may be added; who is not known to be good is not authenticated.
        default: .unauthenticated
        }
    }

    /// A sentence that is the same for every reason.
    public var rpcErrorMessage: String {
        switch code {
        case .notAuthorized: "the caller may not do this"
        case .unavailable: "callers cannot be judged now; retry later"
        default: "the caller has not proven who it is"
        }
    }
}
