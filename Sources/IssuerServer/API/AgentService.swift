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
    let powers: GuardedEntryStore
    let aliases: TokenAliases
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
        guard request.pageSize >= 0 else { throw RPCError(code: .invalidArgument, message: "page size is negative") }
        guard request.pageToken.isEmpty || (try? SPIFFEID(request.pageToken)) != nil else {
            throw RPCError(code: .invalidArgument, message: "page token is not one that this server gave")
        }
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
        let id = try agentID(request.id)
        guard let agent = agents.agent(id) else { throw Self.notFound }
        return Spire_Api_Types_Agent(agent, mask: request.hasOutputMask ? request.outputMask : nil)
    }

    func deleteAgent(
        request: Spire_Api_Server_Agent_V1_DeleteAgentRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try access.requireLocal(context)
        let id = try agentID(request.id)
        guard try await agents.delete(id) else { throw Self.notFound }
        feed.recheck()
        logger.info("agent evicted", metadata: ["agent.id": "\(id)"])
        await aliases.drop(of: id)
        return Google_Protobuf_Empty()
    }

    func banAgent(
        request: Spire_Api_Server_Agent_V1_BanAgentRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try access.requireLocal(context)
        let id = try agentID(request.id)
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
        try await desk.withinPatience { [self] in
            try await attest(caller, peer: context.remotePeer, exchange: exchange, response: response)
        }
    }

    private func attest(
        _ caller: Caller, peer: String, exchange: AttestationExchange,
        response: RPCWriter<Spire_Api_Server_Agent_V1_AttestAgentResponse>
    ) async throws {
        let params = try await exchange.opening()
        let admission: NodeAdmission
        do {
            admission = try await desk.admit(params, caller: caller, peer: peer, exchange: exchange)
        } catch {
            logger.notice(
                "agent refused",
                metadata: [
                    "agent.method": "\(params.data.type.prefix(64))", "peer": "\(peer)", "error": "\(error)",
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
        if let alias { try admit(alias, context) }
        let (token, record) = try agents.draftJoinToken(
            lifetime: .seconds(request.ttl), chosen: request.token.isEmpty ? nil : SecretText(request.token),
            now: clock.now, using: SystemEntropy())
        // First the alias, because a token that was made for one must not let anybody in without it.
        let entry = if let alias { try await createAlias(alias, of: record.agentID) } else { Entry?.none }
        do { try await agents.keep(record) } catch {
            if let entry { _ = try await entries.delete([entry.id]) }
            throw error
        }
        IssuanceTrail.current?.note(.issued(record.agentID, expiresAt: record.expiresAt))
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
        try await agents.note(
            version: request.agentVersion.isEmpty ? nil : request.agentVersion,
            bundleSerial: request.currentBundleSerial, of: agent.id)
        return Spire_Api_Server_Agent_V1_PostStatusResponse()
    }

    /// Judges whether a caller may have an alias made: it is an entry, so nobody gets it who may not register it.
    private func admit(_ alias: SPIFFEID, _ context: ServerContext) throws {
        try access.requireRegistrar(context, isBound: true)
        guard !powers.holdsPower(alias) else {
            throw RPCError(
                code: .permissionDenied,
                message: "'\(alias)' holds a role, or is admin or downstream; a node cannot have it as its alias")
        }
    }

    /// An alias is an entry under the agent whose identity others can name as their parent.
    private func createAlias(_ alias: SPIFFEID, of agent: SPIFFEID) async throws -> Entry? {
        let selector = try Selector(kind: "spiffe_id", value: "\(agent)")
        let contents = EntryContents(spiffeID: alias, parentID: agent, selectors: [selector])
        let outcome = try await entries.create(
            [EntryDraft(contents: contents)], now: clock.now, using: SystemEntropy())
        let entry = try outcome.first?.get()
        if let entry { EntryAudit.record("entry created", entry, of: entries, now: clock.now, logger) }
        return entry
    }

    private func agentID(_ wire: Spire_Api_Types_SPIFFEID) throws(RPCError) -> SPIFFEID {
        let id = try SPIFFEID(wire: wire, named: "agent ID")
        guard id.trustDomain == desk.trustDomain, id.path.hasPrefix("/spire/agent/") else {
            throw RPCError(code: .invalidArgument, message: "'\(id)' is not the ID of an agent of this trust domain")
        }
        return id
    }

    private static let notFound = RPCError(code: .notFound, message: "no such agent")
}
