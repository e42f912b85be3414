internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `spire.api.server.agent.v1.Agent`.
struct AgentService: Spire_Api_Server_Agent_V1_Agent.SimpleServiceProtocol {
    private static let maximumPage = 1000

    let access: AccessControl
    let agents: AgentRegistrar
    let desk: NodeAdmissionDesk
    let entries: EntryRegistrar
    let feed: RevisionFeed
    let clock: any WallClock
    let logger: Logger

    func countAgents(
        request: Spire_Api_Server_Agent_V1_CountAgentsRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Agent_V1_CountAgentsResponse {
        try access.requireLocal(context)
        let filter = try AgentFilter(request.hasFilter ? request.filter.asListFilter : nil)
        return .with { $0.count = Int32(clamping: agents.all.count { filter.admits($0) }) }
    }

    func listAgents(
        request: Spire_Api_Server_Agent_V1_ListAgentsRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Agent_V1_ListAgentsResponse {
        try access.requireLocal(context)
        let filter = try AgentFilter(request.hasFilter ? request.filter : nil)
        let page = request.pageSize > 0 ? min(Int(request.pageSize), Self.maximumPage) : Self.maximumPage
        let found = agents.all.filter { "\($0.id)" > request.pageToken && filter.admits($0) }
            .sorted { "\($0.id)" < "\($1.id)" }
        let mask = request.hasOutputMask ? request.outputMask : nil
        return .with {
            $0.agents = found.prefix(page).map { Spire_Api_Types_Agent($0, mask: mask) }
            if found.count > page { $0.nextPageToken = "\(found[page - 1].id)" }
        }
    }

    func getAgent(
        request: Spire_Api_Server_Agent_V1_GetAgentRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Agent {
        try access.requireLocal(context)
        let id = try SPIFFEID(wire: request.id, named: "agent ID")
        guard let agent = agents.agent(id) else { throw Self.notFound }
        return Spire_Api_Types_Agent(agent, mask: request.hasOutputMask ? request.outputMask : nil)
    }

    func deleteAgent(
        request: Spire_Api_Server_Agent_V1_DeleteAgentRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try access.requireLocal(context)
        let id = try SPIFFEID(wire: request.id, named: "agent ID")
        guard try await agents.delete(id) else { throw Self.notFound }
        feed.recheck()
        logger.info("agent evicted", metadata: ["agent.id": "\(id)"])
        return Google_Protobuf_Empty()
    }

    func banAgent(
        request: Spire_Api_Server_Agent_V1_BanAgentRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try access.requireLocal(context)
        let id = try SPIFFEID(wire: request.id, named: "agent ID")
        guard try await agents.ban(id) else { throw Self.notFound }
        feed.recheck()
        logger.info("agent banned", metadata: ["agent.id": "\(id)"])
        return Google_Protobuf_Empty()
    }

    func attestAgent(
        request: RPCAsyncSequence<Spire_Api_Server_Agent_V1_AttestAgentRequest, any Error>,
        response: RPCWriter<Spire_Api_Server_Agent_V1_AttestAgentResponse>, context: ServerContext
    ) async throws {
        let caller = try access.requireKnown(context)
        let exchange = AttestationExchange(request, response: response)
        let params = try await exchange.opening()
        let admission: NodeAdmission
        do {
            admission = try await desk.admit(params, caller: caller, peer: context.remotePeer, exchange: exchange)
        } catch {
            logger.notice(
                "agent refused",
                metadata: [
                    "agent.method": "\(params.data.type.prefix(64))", "peer": "\(context.remotePeer)",
                    "error": "\(error)",
                ])
            throw error
        }
        // What the agent may serve goes by what its node was found to be.
        if admission.hasNewSelectors { feed.recheck() }
        let svid = admission.svid
        logger.info(
            "agent attested",
            metadata: [
                "agent.id": "\(svid.id)", "agent.method": "\(params.data.type)", "svid.serial": "\(svid.serial)",
            ]
        )
        try await response.write(
            .with {
                $0.result = .with {
                    $0.svid = Spire_Api_Types_X509SVID(svid)
                    $0.reattestable = admission.canReattest
                }
            })
    }

    func renewAgent(
        request: Spire_Api_Server_Agent_V1_RenewAgentRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Agent_V1_RenewAgentResponse {
        let agent = try await access.requireAgent(context)
        let signingRequest = try SigningRequest(der: Array(request.params.csr))
        let svid = try await agents.renew(agent.id, request: signingRequest, now: clock.now, using: SystemEntropy())
        logger.info("agent renewed", metadata: ["agent.id": "\(agent.id)", "svid.serial": "\(svid.serial)"])
        return .with { $0.svid = Spire_Api_Types_X509SVID(svid) }
    }

    func createJoinToken(
        request: Spire_Api_Server_Agent_V1_CreateJoinTokenRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_JoinToken {
        try access.requireLocal(context)
        guard request.ttl > 0 else { throw RPCError(code: .invalidArgument, message: "ttl is required") }
        let alias = try request.hasAgentID ? SPIFFEID(wire: request.agentID, named: "agent ID") : nil
        let (token, record) = try await agents.createJoinToken(
            lifetime: .seconds(request.ttl), chosen: request.token.isEmpty ? nil : SecretText(request.token),
            now: clock.now, using: SystemEntropy())
        IssuanceTrail.current?.note(.issued(record.agentID, expiresAt: record.expiresAt))
        if let alias { try await createAlias(alias, of: record.agentID) }
        logger.info(
            "join token created",
            metadata: ["agent.id": "\(record.agentID)", "token.expires_at": "\(record.expiresAt.formatted(.iso8601))"])
        return .with {
            $0.value = token.exposed
            $0.expiresAt = record.expiresAt.unixSeconds
        }
    }

    func postStatus(
        request: Spire_Api_Server_Agent_V1_PostStatusRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Agent_V1_PostStatusResponse {
        let agent = try await access.requireAgent(context)
        guard request.agentVersion.utf8.count <= 255 else {
            throw RPCError(code: .invalidArgument, message: "agent version is longer than 255 bytes")
        }
        if !request.agentVersion.isEmpty {
            try await agents.note(version: request.agentVersion, of: agent.id)
        }
        return Spire_Api_Server_Agent_V1_PostStatusResponse()
    }

    /// An alias is an entry under the agent whose identity others can name as their parent.
    private func createAlias(_ alias: SPIFFEID, of agent: SPIFFEID) async throws {
        let selector = try Selector(kind: "spiffe_id", value: "\(agent)")
        let contents = EntryContents(spiffeID: alias, parentID: agent, selectors: [selector])
        let outcome = try await entries.create(
            [EntryDraft(contents: contents)], now: clock.now, using: SystemEntropy())
        _ = try outcome.first?.get()
    }

    private static let notFound = RPCError(code: .notFound, message: "no such agent")
}

/// Which agents an admin asks to see.
private struct AgentFilter {
    private let wire: Spire_Api_Server_Agent_V1_ListAgentsRequest.Filter?
    private let selectors: SetMatch<Selector>?
    private let expiresBefore: Date?

    init(_ wire: Spire_Api_Server_Agent_V1_ListAgentsRequest.Filter?) throws(RPCError) {
        self.wire = wire
        var wanted: [Selector] = []
        for selector in wire?.bySelectorMatch.selectors ?? [] { wanted.append(try Selector(wire: selector)) }
        selectors =
            try wanted.isEmpty
            ? nil : SetMatch(wanted, mode: .init(wire: wire?.bySelectorMatch.match.rawValue ?? 0))
        if let text = wire?.byExpiresBefore, !text.isEmpty {
            guard let instant = try? Date(text, strategy: .iso8601) else {
                throw RPCError(code: .invalidArgument, message: "expires before: not an RFC 3339 instant")
            }
            expiresBefore = instant
        } else {
            expiresBefore = nil
        }
    }

    func admits(_ agent: AttestedAgent) -> Bool {
        guard let wire else { return true }
        if !wire.byAttestationType.isEmpty, agent.attestationType != wire.byAttestationType { return false }
        if wire.hasByBanned, agent.isBanned != wire.byBanned.value { return false }
        if wire.hasByCanReattest, agent.canReattest != wire.byCanReattest.value { return false }
        if let selectors, !selectors.admits(agent.selectors) { return false }
        if let expiresBefore, agent.expiresAt >= expiresBefore { return false }
        return true
    }
}

extension Spire_Api_Server_Agent_V1_CountAgentsRequest.Filter {
    /// The same filter as a listing takes it; the two messages differ in name only.
    fileprivate var asListFilter: Spire_Api_Server_Agent_V1_ListAgentsRequest.Filter {
        .with {
            $0.byAttestationType = byAttestationType
            if hasBySelectorMatch { $0.bySelectorMatch = bySelectorMatch }
            if hasByBanned { $0.byBanned = byBanned }
            if hasByCanReattest { $0.byCanReattest = byCanReattest }
            $0.byExpiresBefore = byExpiresBefore
        }
    }
}
