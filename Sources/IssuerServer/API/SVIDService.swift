internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `spire.api.server.svid.v1.SVID`.
struct SVIDService: Spire_Api_Server_Svid_V1_SVID.SimpleServiceProtocol {
    let access: AccessControl
    let issuer: SVIDIssuer
    let issuance: AgentIssuance
    let powers: GuardedEntryStore
    let downstream: DownstreamAuthorities
    let clock: any WallClock
    let logger: Logger

    func mintX509SVID(
        request: Spire_Api_Server_Svid_V1_MintX509SVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_MintX509SVIDResponse {
        try access.requireLocal(context)
        let signingRequest = try SigningRequest(der: Array(request.csr))
        let names = try signingRequest.names()
        guard let name = names.uri else {
            throw RPCError(code: .invalidArgument, message: "signing request names no SPIFFE ID")
        }
        let id: SPIFFEID
        do { id = try SPIFFEID(name) } catch { throw RPCError(code: .invalidArgument, message: error.message) }
        try admit(id, ttl: request.ttl)
        if let bad = names.dnsNames.first(where: { !EntryRules.isDNSName($0) }) {
            throw EntryError.invalidDNSName(bad)
        }
        var entropy = SystemEntropy()
        let svid = try issuer.x509SVID(
            id: id, request: signingRequest, dnsNames: names.dnsNames,
            asked: request.ttl > 0 ? .seconds(request.ttl) : nil, defaultTTL: issuer.settings.x509TTL, now: clock.now,
            using: &entropy)
        record("x509-svid minted", id: id, lifetime: svid.lifetime, extra: ["svid.serial": "\(svid.serial)"])
        explain(svid.lifetime, id: id)
        return .with { $0.svid = Spire_Api_Types_X509SVID(svid) }
    }

    func mintJWTSVID(
        request: Spire_Api_Server_Svid_V1_MintJWTSVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_MintJWTSVIDResponse {
        try access.requireLocal(context)
        let id = try SPIFFEID(wire: request.id, named: "SPIFFE ID")
        try admit(id, ttl: request.ttl)
        var entropy = SystemEntropy()
        let svid = try issuer.jwtSVID(
            id: id, audience: request.audience, asked: request.ttl > 0 ? .seconds(request.ttl) : nil, now: clock.now,
            using: &entropy)
        record("jwt-svid minted", id: id, lifetime: svid.lifetime, extra: [:])
        explain(svid.lifetime, id: id)
        return .with { $0.svid = Spire_Api_Types_JWTSVID(svid) }
    }

    func batchNewX509SVID(
        request: Spire_Api_Server_Svid_V1_BatchNewX509SVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_BatchNewX509SVIDResponse {
        try await issuance.x509SVIDs(request.params, for: access.requireAgent(context)) { params in
            .init(entryID: params.entryID, csr: params.csr)
        }
    }

    func newJWTSVID(
        request: Spire_Api_Server_Svid_V1_NewJWTSVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_NewJWTSVIDResponse {
        try issuance.jwtSVID(
            entryID: request.entryID, audience: request.audience, for: await access.requireAgent(context))
    }

    func mintWITSVID(
        request: Spire_Api_Server_Svid_V1_MintWITSVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_MintWITSVIDResponse {
        throw RPCError(code: .unimplemented, message: "MintWITSVID is not implemented")
    }

    func batchNewWITSVID(
        request: Spire_Api_Server_Svid_V1_BatchNewWITSVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_BatchNewWITSVIDResponse {
        throw RPCError(code: .unimplemented, message: "BatchNewWITSVID is not implemented")
    }

    func newDownstreamX509CA(
        request: Spire_Api_Server_Svid_V1_NewDownstreamX509CARequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_NewDownstreamX509CAResponse {
        try downstream.newX509CA(request, context: context)
    }

    /// Judges what an admin asks for without an entry.
    private func admit(_ id: SPIFFEID, ttl: Int32) throws {
        guard ttl >= 0 else { throw RPCError(code: .invalidArgument, message: "ttl is negative") }
        try EntryRules.check(minted: id, in: issuer.trustDomain)
        guard powers.mayBeMinted(id) else {
            throw RPCError(
                code: .permissionDenied,
                message: """
                    '\(id)' holds a role, or is admin or downstream: where two people must agree, its SVID comes from an \
                    entry to which both agreed, and is not minted
                    """)
        }
    }

    /// Tells an admin why what was minted is shorter than asked.
    private func explain(_ lifetime: LifetimeDecision, id: SPIFFEID) {
        guard let shortfall = lifetime.shortfall else { return }
        logger.notice("svid is shorter than asked", metadata: ["spiffe.id": "\(id)", "svid.shortfall": "\(shortfall)"])
    }

    private func record(
        _ event: Logger.Message, id: SPIFFEID, lifetime: LifetimeDecision, extra: Logger.Metadata
    ) {
        guard logger.logLevel <= .debug else { return }
        logger.debug(
            event,
            metadata: extra.merging([
                "spiffe.id": "\(id)", "svid.expires_at": "\(lifetime.validity.upperBound.formatted(.iso8601))",
                "svid.limited_by": "\(lifetime.limit)", "svid.shortfall": "\(lifetime.shortfall ?? "none")",
            ]) { one, _ in one })
    }
}
