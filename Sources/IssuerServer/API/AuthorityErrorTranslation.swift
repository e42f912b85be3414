package import GRPCCore
package import IssuerDomain

// Codes are those of SPIRE's LocalAuthority service, which tools match on: also where another would say more.

extension AuthorityRefusal: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code {
        switch self {
        case .noID, .unknown, .isActive, .ended, .early, .upstreamInUse, .unsound: .invalidArgument
        case .isUpstreams, .noUpstream, .isRevoked: .failedPrecondition
        case .idTaken: .alreadyExists
        case .tooMany: .resourceExhausted
        case .outOfOrder(id: _, let state, let step):
            switch (step, state) {
            case (.activate, .active), (.taint, .prepared), (.revoke, .prepared), (.taint, .revoked): .invalidArgument
            default: .internalError
            }
        }
    }

    package var rpcErrorMessage: String { description }
}

extension AuthorityError: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code {
        switch self {
        case .notAllowed(let refusal): refusal.rpcErrorCode
        case .store(let error): error.rpcErrorCode
        case .damaged, .keyStore, .refused, .upstream: .internalError
        }
    }

    package var rpcErrorMessage: String {
        switch self {
        case .notAllowed(let refusal): refusal.rpcErrorMessage
        case .store(let error): error.rpcErrorMessage
        case .upstream: "the upstream authority did not sign or publish; nothing was changed"
        case .damaged, .keyStore, .refused: "the authority could not be made or read; nothing was changed"
        }
    }
}
