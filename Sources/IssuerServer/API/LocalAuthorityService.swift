internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SwiftProtobuf

/// `spire.api.server.localauthority.v1.LocalAuthority`: the authorities of this server, and the upstream's roots above
/// them.
struct LocalAuthorityService: Spire_Api_Server_Localauthority_V1_LocalAuthority.SimpleServiceProtocol {
    let access: AccessControl
    let authorities: AuthorityKeeper
    let clock: any WallClock
    let logger: Logger

    // MARK: X.509

    func getX509AuthorityState(
        request: Spire_Api_Server_Localauthority_V1_GetX509AuthorityStateRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_GetX509AuthorityStateResponse {
        try access.requireLocal(context)
        let standing = authorities.snapshot.standing(.x509)
        return .with {
            $0.active = .init(standing.active)
            if let prepared = standing.prepared { $0.prepared = .init(prepared) }
            if let old = standing.old { $0.old = .init(old) }
        }
    }

    func prepareX509Authority(
        request: Spire_Api_Server_Localauthority_V1_PrepareX509AuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_PrepareX509AuthorityResponse {
        try access.requireLocal(context)
        let prepared = try await prepare(.x509)
        return .with { $0.preparedAuthority = prepared }
    }

    func activateX509Authority(
        request: Spire_Api_Server_Localauthority_V1_ActivateX509AuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_ActivateX509AuthorityResponse {
        try access.requireLocal(context)
        let activated = try await activate(.x509, request.authorityID)
        return .with { $0.activatedAuthority = activated }
    }

    func taintX509Authority(
        request: Spire_Api_Server_Localauthority_V1_TaintX509AuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_TaintX509AuthorityResponse {
        try access.requireLocal(context)
        let tainted = try await taint(.x509, request.authorityID)
        return .with { $0.taintedAuthority = tainted }
    }

    func revokeX509Authority(
        request: Spire_Api_Server_Localauthority_V1_RevokeX509AuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_RevokeX509AuthorityResponse {
        try access.requireLocal(context)
        let revoked = try await revoke(.x509, request.authorityID)
        return .with { $0.revokedAuthority = revoked }
    }

    func taintX509UpstreamAuthority(
        request: Spire_Api_Server_Localauthority_V1_TaintX509UpstreamAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_TaintX509UpstreamAuthorityResponse {
        try access.requireLocal(context)
        let keyID = try await authorities.taintUpstream(keyID: request.subjectKeyID)
        logger.notice("upstream authority tainted", metadata: ["authority.id": "\(keyID)"])
        return .with { $0.upstreamAuthoritySubjectKeyID = keyID }
    }

    func revokeX509UpstreamAuthority(
        request: Spire_Api_Server_Localauthority_V1_RevokeX509UpstreamAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_RevokeX509UpstreamAuthorityResponse {
        try access.requireLocal(context)
        let keyID = try await authorities.revokeUpstream(keyID: request.subjectKeyID)
        logger.notice("upstream authority revoked", metadata: ["authority.id": "\(keyID)"])
        return .with { $0.upstreamAuthoritySubjectKeyID = keyID }
    }

    // MARK: JWT

    func getJWTAuthorityState(
        request: Spire_Api_Server_Localauthority_V1_GetJWTAuthorityStateRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_GetJWTAuthorityStateResponse {
        try access.requireLocal(context)
        let standing = authorities.snapshot.standing(.jwt)
        return .with {
            $0.active = .init(standing.active)
            if let prepared = standing.prepared { $0.prepared = .init(prepared) }
            if let old = standing.old { $0.old = .init(old) }
        }
    }

    func prepareJWTAuthority(
        request: Spire_Api_Server_Localauthority_V1_PrepareJWTAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_PrepareJWTAuthorityResponse {
        try access.requireLocal(context)
        let prepared = try await prepare(.jwt)
        return .with { $0.preparedAuthority = prepared }
    }

    func activateJWTAuthority(
        request: Spire_Api_Server_Localauthority_V1_ActivateJWTAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_ActivateJWTAuthorityResponse {
        try access.requireLocal(context)
        let activated = try await activate(.jwt, request.authorityID)
        return .with { $0.activatedAuthority = activated }
    }

    func taintJWTAuthority(
        request: Spire_Api_Server_Localauthority_V1_TaintJWTAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_TaintJWTAuthorityResponse {
        try access.requireLocal(context)
        let tainted = try await taint(.jwt, request.authorityID)
        return .with { $0.taintedAuthority = tainted }
    }

    func revokeJWTAuthority(
        request: Spire_Api_Server_Localauthority_V1_RevokeJWTAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_RevokeJWTAuthorityResponse {
        try access.requireLocal(context)
        let revoked = try await revoke(.jwt, request.authorityID)
        return .with { $0.revokedAuthority = revoked }
    }

    // MARK: WIT

    func getWITAuthorityState(
        request: Spire_Api_Server_Localauthority_V1_GetWITAuthorityStateRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_GetWITAuthorityStateResponse {
        throw RPCError(code: .unimplemented, message: "GetWITAuthorityState is not implemented")
    }

    func prepareWITAuthority(
        request: Spire_Api_Server_Localauthority_V1_PrepareWITAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_PrepareWITAuthorityResponse {
        throw RPCError(code: .unimplemented, message: "PrepareWITAuthority is not implemented")
    }

    func activateWITAuthority(
        request: Spire_Api_Server_Localauthority_V1_ActivateWITAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_ActivateWITAuthorityResponse {
        throw RPCError(code: .unimplemented, message: "ActivateWITAuthority is not implemented")
    }

    func taintWITAuthority(
        request: Spire_Api_Server_Localauthority_V1_TaintWITAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_TaintWITAuthorityResponse {
        throw RPCError(code: .unimplemented, message: "TaintWITAuthority is not implemented")
    }

    func revokeWITAuthority(
        request: Spire_Api_Server_Localauthority_V1_RevokeWITAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Localauthority_V1_RevokeWITAuthorityResponse {
        throw RPCError(code: .unimplemented, message: "RevokeWITAuthority is not implemented")
    }

    // MARK: Both

    private func prepare(
        _ kind: AuthorityRecord.Kind
    ) async throws -> Spire_Api_Server_Localauthority_V1_AuthorityState {
        .init(try await authorities.prepare(kind, now: clock.now, using: SystemEntropy()))
    }

    private func activate(
        _ kind: AuthorityRecord.Kind, _ id: String
    ) async throws -> Spire_Api_Server_Localauthority_V1_AuthorityState {
        .init(try await authorities.activate(kind, id: id, now: clock.now))
    }

    private func taint(
        _ kind: AuthorityRecord.Kind, _ id: String
    ) async throws -> Spire_Api_Server_Localauthority_V1_AuthorityState {
        let record = try await authorities.taint(kind, id: id)
        note("authority tainted", record)
        return .init(record)
    }

    private func revoke(
        _ kind: AuthorityRecord.Kind, _ id: String
    ) async throws -> Spire_Api_Server_Localauthority_V1_AuthorityState {
        let record = try await authorities.revoke(kind, id: id)
        note("authority revoked", record)
        return .init(record)
    }

    private func note(_ event: Logger.Message, _ record: AuthorityRecord) {
        logger.notice(
            event, metadata: ["authority.id": "\(record.id)", "authority.kind": "\(record.kind.rawValue)"])
    }
}

extension Spire_Api_Server_Localauthority_V1_AuthorityState {
    init(_ record: AuthorityRecord) {
        self.init()
        authorityID = record.id
        expiresAt = record.notAfter.unixSeconds
        upstreamAuthoritySubjectKeyID = record.upstreamKeyID ?? ""
    }
}
