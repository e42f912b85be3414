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
    let powers: GuardedEntryStore
    let clock: any WallClock
    let logger: Logger

    /// How many items of a batch are worth a thread of their own.
    private static let worthwhileShare = 8

    /// Issues a batch of X.509-SVIDs, each with a status of its own, on as many cores as there are.
    ///
    /// - Parameters:
    ///   - items: What is asked for.
    ///   - agent: Who asks, already judged.
    ///   - question: Reads one item.
    /// - Returns: An answer for each item, in order.
    /// - Throws: `RPCError` InvalidArgument for a batch of nothing, or of more than ``maximumBatch``.
    func x509SVIDs<Item: Sendable>(
        _ items: [Item], for agent: AttestedAgent, reading question: @escaping @Sendable (Item) -> X509Question
    ) async throws(RPCError) -> Spire_Api_Server_Svid_V1_BatchNewX509SVIDResponse {
        guard !items.isEmpty else { throw RPCError(code: .invalidArgument, message: "nothing is asked for") }
        guard items.count <= Self.maximumBatch else {
            throw RPCError(code: .invalidArgument, message: "at most \(Self.maximumBatch) requests in one batch")
        }
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let share = max(Self.worthwhileShare, (items.count + cores - 1) / cores)
        let shares = stride(from: 0, to: items.count, by: share).map { items[$0..<min($0 + share, items.count)] }
        let results = await withTaskGroup { group in
            for (number, share) in shares.enumerated().dropFirst() {
                group.addTask { (number, share.map { x509SVID(question($0), for: agent) }) }
            }
            // The first share is this task's own, so that a small batch makes no hop.
            var results = [0: shares.first?.map { x509SVID(question($0), for: agent) } ?? []]
            for await (number, answers) in group { results[number] = answers }
            return shares.indices.flatMap { results[$0] ?? [] }
        }
        return .with { $0.results = results }
    }

    /// What an agent asks for in one item of a batch.
    struct X509Question: Sendable {
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
    ) throws -> (Entry, ceilings: [LifetimeCeiling]) {
        guard !id.isEmpty else { throw RPCError(code: .invalidArgument, message: "entry ID is missing") }
        let (entry, end) = entries.read { index in
            let entry = index[id]
            return (entry, entry.flatMap { index.permission(of: agent, for: $0, now: now) })
        }
        guard let entry else { throw IssuanceError.entryMissing }
        guard let end else { throw IssuanceError.notAuthorized }
        return (entry, [LifetimeCeiling(end: end, limit: .parentExpiry), .node(agent)])
    }

    private func identity(_ wire: Spire_Api_Types_SPIFFEID?) throws -> SPIFFEID? {
        guard let wire else { return nil }
        let identity = try SPIFFEID(wire: wire, named: "SPIFFE ID")
        // What a process is called must not be enough to make it an admin.
        guard !powers.holdsPower(identity) else { throw IssuanceError.identityHoldsPower(identity) }
        return identity
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
