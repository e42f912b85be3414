internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark.v1.TemplatedSVIDs`: for entries whose identity depends on the process.
struct TemplatedSVIDService: Mintmark_V1_TemplatedSVIDs.SimpleServiceProtocol {
    private static let maximumBatch = 500

    let access: AccessControl
    let issuer: SVIDIssuer
    let entries: EntryRegistrar
    let clock: any WallClock
    let logger: Logger

    func batchNewX509SVID(
        request: Mintmark_V1_BatchNewTemplatedX509SVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_BatchNewX509SVIDResponse {
        let agent = try await access.requireAgent(context)
        guard request.items.count <= Self.maximumBatch else {
            throw RPCError(code: .invalidArgument, message: "at most \(Self.maximumBatch) requests in one batch")
        }
        var entropy = SystemEntropy()
        let results = request.items.map { item in
            Spire_Api_Server_Svid_V1_BatchNewX509SVIDResponse.Result.with {
                do {
                    let entry = try authorizedEntry(item.entryID, for: agent)
                    let svid = try issuer.x509SVID(
                        for: entry, as: SPIFFEID(wire: item.spiffeID, named: "SPIFFE ID"),
                        request: SigningRequest(der: Array(item.csr)), now: clock.now, using: &entropy)
                    $0.status = .ok
                    $0.svid = Spire_Api_Types_X509SVID(svid, hint: entry.contents.hint)
                    record(
                        "x509-svid issued", id: svid.id, lifetime: svid.lifetime, entry: entry, agent: agent,
                        extra: ["svid.serial": "\(svid.serial)"])
                } catch {
                    $0.status = .init(refusal(error, entryID: item.entryID, agent: agent))
                }
            }
        }
        return .with { $0.results = results }
    }

    func newJWTSVID(
        request: Mintmark_V1_NewTemplatedJWTSVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_NewJWTSVIDResponse {
        let agent = try await access.requireAgent(context)
        var entropy = SystemEntropy()
        do {
            let entry = try authorizedEntry(request.entryID, for: agent)
            let svid = try issuer.jwtSVID(
                for: entry, as: SPIFFEID(wire: request.spiffeID, named: "SPIFFE ID"), audience: request.audience,
                now: clock.now, using: &entropy)
            record("jwt-svid issued", id: svid.id, lifetime: svid.lifetime, entry: entry, agent: agent)
            return .with { $0.svid = Spire_Api_Types_JWTSVID(svid, hint: entry.contents.hint) }
        } catch { throw refusal(error, entryID: request.entryID, agent: agent) }
    }

    private func authorizedEntry(_ id: String, for agent: AttestedAgent) throws(IssuanceError) -> Entry {
        let now = clock.now
        let (entry, isAuthorized) = entries.read { index in
            let entry = index[id]
            return (entry, entry.map { index.isAuthorized(agent.id, for: $0, now: now) } ?? false)
        }
        guard let entry else { throw .entryMissing }
        guard isAuthorized else { throw .notAuthorized }
        return entry
    }

    private func record(
        _ event: Logger.Message, id: SPIFFEID, lifetime: LifetimeDecision, entry: Entry, agent: AttestedAgent,
        extra: Logger.Metadata = [:]
    ) {
        logger.debug(
            event,
            metadata: extra.merging([
                "spiffe.id": "\(id)", "svid.expires_at": "\(lifetime.validity.upperBound.formatted(.iso8601))",
                "svid.limited_by": "\(lifetime.limit)", "entry.id": "\(entry.id)", "agent.id": "\(agent.id)",
            ]) { one, _ in one })
    }

    private func refusal(_ error: any Error, entryID: String, agent: AttestedAgent) -> RPCError {
        logger.warning(
            "svid refused",
            metadata: ["entry.id": "\(entryID.prefix(255))", "agent.id": "\(agent.id)", "error": "\(error)"])
        if let error = error as? RPCError { return error }
        return (error as? IssuanceError).map { RPCError($0) } ?? RPCError(code: .internalError, message: "")
    }
}
