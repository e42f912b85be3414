package import GRPCCore
internal import GRPCProtobuf
internal import IssuerAPIProtos
package import IssuerDomain
internal import SPIFFE
internal import SwiftProtobuf

// The one place where the domain's refusals become words for strangers. No paths, SQL or key names pass.

extension EntryError: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code {
        switch self {
        case .foreignTrustDomain, .spiffeIDWithoutPath, .reservedSPIFFEID, .noSelectors, .tooMany, .selector,
            .bareInterpreter, .assuranceBelowSelector, .mixedStoreSelectors, .hintTooLong, .invalidDNSName,
            .invalidEntryID, .lifetimeOutOfRange, .alreadyExpired, .badText, .neverInForce, .emptyGroup,
            .absenceNeverShown, .contradiction, .template, .templateWithPrivileges, .agentByAccountAlone,
            .emptyDigestSet, .federatesWithItself:
            .invalidArgument
        case .bundleMissing, .digestSetInUse: .failedPrecondition
        case .exists, .idTaken, .digestSetExists: .alreadyExists
        case .notFound, .digestSetMissing: .notFound
        case .objection(let error): error.rpcErrorCode
        case .tooManyEntries: .resourceExhausted
        }
    }

    package var rpcErrorMessage: String {
        if case .objection(let error) = self { error.rpcErrorMessage } else { description }
    }
}

extension FederationError: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code {
        switch self {
        case .ownTrustDomain, .bundleOfAnother, .tooManyAuthorities, .badEndpointURL: .invalidArgument
        case .bundleExists, .relationshipExists: .alreadyExists
        case .bundleMissing, .relationshipMissing: .notFound
        case .bundleInUse: .failedPrecondition
        case .tooMany: .resourceExhausted
        }
    }

    package var rpcErrorMessage: String { description }
}

extension BundleFetchError: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code {
        switch self {
        // What SPIRE says, and tools know; "unavailable" would be said of this server.
        case .unreachable, .status, .malformed, .endpointUnknown, .older, .overtaken: .internalError
        case .store(let error): error.rpcErrorCode
        }
    }

    package var rpcErrorMessage: String {
        switch self {
        case .unreachable, .status, .malformed, .endpointUnknown, .older, .overtaken: description
        case .store(let error): error.rpcErrorMessage
        }
    }
}

extension IssuanceError: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code {
        switch self {
        case .badSigningRequest, .keyNotAllowed, .keyOfAuthority, .badAudience, .audienceNotAllowed, .otherKeyType:
            .invalidArgument
        // In the same words, so that nobody finds out which entries there are.
        case .entryMissing, .notAuthorized: .notFound
        case .foreignTrustDomain, .outsideTemplate, .identityHoldsPower: .permissionDenied
        case .lifetimeExhausted, .pathLengthExhausted: .failedPrecondition
        case .clockBeforeAuthority: .unavailable
        case .lintFailed, .signingFailed: .internalError
        }
    }

    package var rpcErrorMessage: String {
        switch self {
        case .entryMissing, .notAuthorized: "entry not found or not authorized"
        case .badSigningRequest, .keyNotAllowed, .keyOfAuthority, .badAudience, .audienceNotAllowed, .otherKeyType,
            .outsideTemplate, .identityHoldsPower, .lifetimeExhausted, .clockBeforeAuthority,
            .foreignTrustDomain, .pathLengthExhausted:
            description
        case .lintFailed(detail: _): "refused to sign"
        case .signingFailed(detail: _): "signing is unavailable; retry later"
        }
    }
}

extension StoreError: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code {
        switch self {
        case .full: .resourceExhausted
        case .outsideScope: .permissionDenied
        case .needsSecondPerson: .failedPrecondition
        case .corrupt, .tooNew, .readOnly, .otherTrustDomain, .failed: .unavailable
        }
    }

    package var rpcErrorMessage: String {
        switch self {
        case .full(detail: _): "the issuer's disk is full; nothing was changed"
        case .readOnly(detail: _): "the issuer's store is read-only; nothing was changed"
        case .outsideScope, .needsSecondPerson: "\(description); nothing was changed"
        case .corrupt(detail: _), .tooNew(detail: _), .otherTrustDomain, .failed(detail: _):
            "the issuer's store is unavailable; nothing was changed"
        }
    }
}

extension AgentRefusal: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code {
        switch self {
        case .notAttested, .banned, .expired, .notActive, .alreadyAttested, .mustReattest: .permissionDenied
        case .tokenRefused, .badRequest: .invalidArgument
        case .tokenTaken: .alreadyExists
        case .rolledBack, .methodRefused: .failedPrecondition
        case .unmarked: .unavailable
        case .attestation(let failure):
            switch failure.kind {
            case .malformed: .invalidArgument
            case .refused: .permissionDenied
            case .exchange: .aborted
            case .unavailable: .unavailable
            }
        case .issuance(let error): error.rpcErrorCode
        case .store(let error): error.rpcErrorCode
        }
    }

    package var rpcErrorMessage: String {
        switch self {
        case .notAttested, .banned, .expired, .notActive, .methodRefused, .alreadyAttested, .mustReattest,
            .tokenRefused, .tokenTaken, .rolledBack, .attestation, .badRequest:
            description
        case .unmarked(detail: _): "the issuer cannot note what was done; retry later"
        case .issuance(let error): error.rpcErrorMessage
        case .store(let error): error.rpcErrorMessage
        }
    }

    /// Agents act on the reason in the details, never on the text.
    package var rpcErrorMetadata: Metadata {
        let reason: Spire_Api_Types_PermissionDeniedDetails.Reason
        switch self {
        case .notAttested: reason = .agentNotAttested
        case .banned: reason = .agentBanned
        case .expired: reason = .agentExpired
        case .notActive: reason = .agentNotActive
        case .mustReattest: reason = .agentMustReattest
        case .methodRefused, .alreadyAttested, .tokenRefused, .tokenTaken, .rolledBack, .unmarked, .attestation,
            .badRequest, .issuance, .store:
            return [:]
        }
        let details = Spire_Api_Types_PermissionDeniedDetails.with { $0.reason = reason }
        guard let packed = try? Google_Protobuf_Any(message: details) else { return [:] }
        let status = GoogleRPCStatus(code: .permissionDenied, message: description, details: [.any(packed)])
        return status.rpcErrorMetadata
    }
}

extension ApprovalRefusal: RPCErrorConvertible {
    package var rpcErrorCode: RPCError.Code {
        switch self {
        case .waiting: .failedPrecondition
        case .missing: .notFound
        case .ownRequest: .permissionDenied
        case .tooMany: .resourceExhausted
        case .store(let error): error.rpcErrorCode
        }
    }

    package var rpcErrorMessage: String {
        switch self {
        case .waiting, .missing, .ownRequest, .tooMany: description
        case .store(let error): error.rpcErrorMessage
        }
    }
}
