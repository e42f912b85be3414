internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// Issues what an agent asks for under an entry, within the node's permission, and says what came of it.
struct AgentIssuance: Sendable {
    /// Signing requests in one batch.
    static let maximumBatch = 500

    let issuer: SVIDIssuer
    let entries: EntryRegistrar
    let clock: any WallClock
    let logger: Logger

    /// Issues a batch of X.509-SVIDs, each with a status of its own.
    ///
    /// - Parameters:
    ///   - items: What is asked for.
    ///   - agent: Who asks, already judged.
    ///   - question: Reads one item.
    /// - Returns: An answer for each item, in order.
    /// - Throws: `RPCError` InvalidArgument for a batch of more than ``maximumBatch``.
    func x509SVIDs<Item>(
        _ items: [Item], for agent: AttestedAgent, reading question: (Item) -> X509Question
    ) throws(RPCError) -> Spire_Api_Server_Svid_V1_BatchNewX509SVIDResponse {
        guard items.count <= Self.maximumBatch else {
            throw RPCError(code: .invalidArgument, message: "at most \(Self.maximumBatch) requests in one batch")
        }
        var answer = Spire_Api_Server_Svid_V1_BatchNewX509SVIDResponse()
        answer.results.reserveCapacity(items.count)
        for item in items { answer.results.append(x509SVID(question(item), for: agent)) }
        return answer
    }

    /// What an agent asks for in one item of a batch.
    struct X509Question {
        let entryID: String
        /// What the entry's template became; nil from a caller that knows no templates.
        var identity: Spire_Api_Types_SPIFFEID?
        let csr: Data
    }

    private func x509SVID(
        _ question: X509Question, for agent: AttestedAgent
    ) -> Spire_Api_Server_Svid_V1_BatchNewX509SVIDResponse.Result {
        var result = Spire_Api_Server_Svid_V1_BatchNewX509SVIDResponse.Result()
        do {
            let now = clock.now
            let (entry, ceilings) = try entry(question.entryID, for: agent, now: now)
            var entropy = SystemEntropy()
            let svid = try issuer.x509SVID(
                for: entry, as: identity(question.identity), request: SigningRequest(der: Array(question.csr)),
                ceilings: ceilings, now: now, using: &entropy)
            result.status = .ok
            result.svid = Spire_Api_Types_X509SVID(svid, hint: entry.contents.hint)
            record("x509-svid issued", id: svid.id, lifetime: svid.lifetime, entry: entry, agent: agent)
        } catch {
            result.status = .init(refusal(error, entryID: question.entryID, agent: agent))
        }
        return result
    }

    /// Issues one JWT-SVID.
    ///
    /// - Throws: `RPCError`.
    func jwtSVID(
        entryID: String, identity wire: Spire_Api_Types_SPIFFEID? = nil, audience: [String], for agent: AttestedAgent
    ) throws(RPCError) -> Spire_Api_Server_Svid_V1_NewJWTSVIDResponse {
        do {
            let now = clock.now
            let (entry, ceilings) = try entry(entryID, for: agent, now: now)
            var entropy = SystemEntropy()
            let svid = try issuer.jwtSVID(
                for: entry, as: identity(wire), audience: audience, ceilings: ceilings, now: now,
                using: &entropy)
            record("jwt-svid issued", id: svid.id, lifetime: svid.lifetime, entry: entry, agent: agent)
            return .with { $0.svid = Spire_Api_Types_JWTSVID(svid, hint: entry.contents.hint) }
        } catch {
            throw refusal(error, entryID: entryID, agent: agent)
        }
    }

    /// An entry that the agent may serve, and what its SVIDs may not outlive because of how it may.
    private func entry(
        _ id: String, for agent: AttestedAgent, now: Date
    ) throws(IssuanceError) -> (Entry, ceilings: [LifetimeCeiling]) {
        let (entry, end) = entries.read { index in
            let entry = index[id]
            return (entry, entry.flatMap { index.permission(of: agent, for: $0, now: now) })
        }
        guard let entry else { throw .entryMissing }
        guard let end else { throw .notAuthorized }
        return (entry, [LifetimeCeiling(end: end, limit: .parentExpiry), .node(agent)])
    }

    private func identity(_ wire: Spire_Api_Types_SPIFFEID?) throws(RPCError) -> SPIFFEID? {
        guard let wire else { return nil }
        return try SPIFFEID(wire: wire, named: "SPIFFE ID")
    }

    private func record(
        _ event: Logger.Message, id: SPIFFEID, lifetime: LifetimeDecision, entry: Entry, agent: AttestedAgent
    ) {
        // Texts are written for a log that wants them; the issuance record has the same facts.
        guard logger.logLevel <= .debug else { return }
        logger.debug(
            event,
            metadata: [
                "spiffe.id": "\(id)", "svid.expires_at": "\(lifetime.validity.upperBound.formatted(.iso8601))",
                "svid.limited_by": "\(lifetime.limit)", "svid.shortfall": "\(lifetime.shortfall ?? "none")",
                "entry.id": "\(entry.id)", "agent.id": "\(agent.id)",
            ])
    }

    private func refusal(_ error: any Error, entryID: String, agent: AttestedAgent) -> RPCError {
        let refusal =
            (error as? RPCError) ?? (error as? IssuanceError).map { RPCError($0) }
            ?? RPCError(code: .internalError, message: "the request could not be served")
        var fact = IssuanceFact.denied((error as? IssuanceError).map { "\($0)" } ?? refusal.message)
        fact.entryID = IssuanceFact.cut(entryID)
        IssuanceTrail.current?.note(fact)
        logger.warning(
            "svid refused",
            metadata: ["entry.id": "\(entryID.prefix(255))", "agent.id": "\(agent.id)", "error": "\(refusal.message)"])
        return refusal
    }
}

extension LifetimeCeiling {
    /// The end of a node's own SVID: what is issued to its workloads does not outlast its permission to ask.
    static func node(_ agent: AttestedAgent) -> LifetimeCeiling { .init(end: agent.expiresAt, limit: .nodeExpiry) }
}
