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
    /// Signing requests in one batch.
    private static let maximumBatch = 500

    let access: AccessControl
    let issuer: SVIDIssuer
    let entries: EntryRegistrar
    let downstream: DownstreamAuthorities
    let clock: any WallClock
    let logger: Logger

    func mintX509SVID(
        request: Spire_Api_Server_Svid_V1_MintX509SVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_MintX509SVIDResponse {
        try access.requireLocal(context)
        let signingRequest = try SigningRequest(der: Array(request.csr))
        guard let name = signingRequest.uri else {
            throw RPCError(code: .invalidArgument, message: "signing request names no SPIFFE ID")
        }
        let id: SPIFFEID
        do { id = try SPIFFEID(name) } catch { throw RPCError(code: .invalidArgument, message: error.message) }
        guard id.hasPath else { throw EntryError.spiffeIDWithoutPath }
        if let bad = signingRequest.dnsNames.first(where: { !EntryRules.isDNSName($0) }) {
            throw EntryError.invalidDNSName(bad)
        }
        var entropy = SystemEntropy()
        let svid = try issuer.x509SVID(
            id: id, request: signingRequest, dnsNames: signingRequest.dnsNames,
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
        let agent = try await access.requireAgent(context)
        guard request.params.count <= Self.maximumBatch else {
            throw RPCError(code: .invalidArgument, message: "at most \(Self.maximumBatch) requests in one batch")
        }
        var entropy = SystemEntropy()
        let results = request.params.map { params in
            Spire_Api_Server_Svid_V1_BatchNewX509SVIDResponse.Result.with {
                do throws(IssuanceError) {
                    let entry = try authorizedEntry(params.entryID, for: agent)
                    let svid = try issuer.x509SVID(
                        for: entry, request: SigningRequest(der: Array(params.csr)), now: clock.now, using: &entropy)
                    $0.status = .ok
                    $0.svid = Spire_Api_Types_X509SVID(svid, hint: entry.contents.hint)
                    record(
                        "x509-svid issued", id: svid.id, lifetime: svid.lifetime,
                        extra: [
                            "entry.id": "\(entry.id)", "agent.id": "\(agent.id)", "svid.serial": "\(svid.serial)",
                        ])
                } catch {
                    $0.status = .init(RPCError(error))
                    refuse(error, entryID: params.entryID, agent: agent)
                }
            }
        }
        return .with { $0.results = results }
    }

    func newJWTSVID(
        request: Spire_Api_Server_Svid_V1_NewJWTSVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_NewJWTSVIDResponse {
        let agent = try await access.requireAgent(context)
        var entropy = SystemEntropy()
        do throws(IssuanceError) {
            let entry = try authorizedEntry(request.entryID, for: agent)
            let svid = try issuer.jwtSVID(for: entry, audience: request.audience, now: clock.now, using: &entropy)
            record(
                "jwt-svid issued", id: svid.id, lifetime: svid.lifetime,
                extra: ["entry.id": "\(entry.id)", "agent.id": "\(agent.id)"])
            return .with { $0.svid = Spire_Api_Types_JWTSVID(svid, hint: entry.contents.hint) }
        } catch {
            refuse(error, entryID: request.entryID, agent: agent)
            throw error
        }
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

    private func authorizedEntry(_ id: String, for agent: AttestedAgent) throws(IssuanceError) -> Entry {
        let now = clock.now
        let (entry, isAuthorized) = entries.read { index in
            let entry = index[id]
            return (entry, entry.map { index.isAuthorized(agent, for: $0, now: now) } ?? false)
        }
        guard let entry else { throw .entryMissing }
        guard isAuthorized else { throw .notAuthorized }
        return entry
    }

    /// Tells an admin why what was minted is shorter than asked.
    private func explain(_ lifetime: LifetimeDecision, id: SPIFFEID) {
        guard let shortfall = lifetime.shortfall else { return }
        logger.notice("svid is shorter than asked", metadata: ["spiffe.id": "\(id)", "svid.shortfall": "\(shortfall)"])
    }

    private func record(
        _ event: Logger.Message, id: SPIFFEID, lifetime: LifetimeDecision, extra: Logger.Metadata
    ) {
        logger.debug(
            event,
            metadata: extra.merging([
                "spiffe.id": "\(id)", "svid.expires_at": "\(lifetime.validity.upperBound.formatted(.iso8601))",
                "svid.limited_by": "\(lifetime.limit)", "svid.shortfall": "\(lifetime.shortfall ?? "none")",
            ]) { one, _ in one })
    }

    private func refuse(_ error: IssuanceError, entryID: String, agent: AttestedAgent) {
        var fact = IssuanceFact.denied("\(error)")
        fact.entryID = IssuanceFact.cut(entryID)
        IssuanceTrail.current?.note(fact)
        logger.warning(
            "svid refused",
            metadata: ["entry.id": "\(entryID.prefix(255))", "agent.id": "\(agent.id)", "error": "\(error)"])
    }
}
