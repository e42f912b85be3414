internal import ArgumentParser
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// Everything an admin asks about agents.
enum AgentDirectory {
    /// Every agent that a filter admits, page after page.
    static func all(
        _ client: GRPCClient<HTTP2ClientTransport.Posix>,
        filter: Spire_Api_Server_Agent_V1_ListAgentsRequest.Filter? = nil
    ) async throws -> [Spire_Api_Types_Agent] {
        let agents = Spire_Api_Server_Agent_V1_Agent.Client(wrapping: client)
        var found: [Spire_Api_Types_Agent] = []
        var token = ""
        repeat {
            let request = Spire_Api_Server_Agent_V1_ListAgentsRequest.with { [token] in
                $0.pageToken = token
                if let filter { $0.filter = filter }
            }
            let page = try await agents.listAgents(request)
            found += page.agents
            token = page.nextPageToken
        } while !token.isEmpty
        return found
    }

    /// What is known of some agents beyond that, by SPIFFE ID; nothing from a server of another make.
    static func statuses(
        of agents: [Spire_Api_Types_Agent], _ client: GRPCClient<HTTP2ClientTransport.Posix>
    ) async throws -> [String: Mintmark_V1_NodeStatus] {
        let nodes = Mintmark_V1_Nodes.Client(wrapping: client)
        var statuses: [String: Mintmark_V1_NodeStatus] = [:]
        var rest = agents.map(\.id.text)[...]
        while !rest.isEmpty {
            let asked = rest.prefix(1000)
            rest = rest.dropFirst(1000)
            do {
                let answer = try await nodes.getStatus(.with { $0.agentIds = Array(asked) })
                for status in answer.nodes { statuses[status.agentID] = status }
            } catch let error as RPCError where error.code == .unimplemented { return [:] }
        }
        return statuses
    }
}

/// `mintmark agent list`.
struct AgentListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the agents that the server knows.",
        discussion: """
            EXAMPLES
              mintmark agent list
              mintmark agent list --attestation-type x509pop --selector x509pop:san:region:north
              mintmark agent list --banned true --output json
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var filter: AgentFilterOptions

    func run() async throws {
        let filter = filter.wire
        let (agents, statuses) = try await admin.withServer { client in
            let agents = try await AgentDirectory.all(client, filter: filter)
            return (agents, try await AgentDirectory.statuses(of: agents, client))
        }
        output.show(AgentRendering.list(agents, statuses))
    }
}

/// `mintmark agent show`.
struct AgentShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows one agent.",
        discussion: "EXAMPLE\n  mintmark agent show spiffe://example.org/spire/agent/embedded")

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The agent's SPIFFE ID.", transform: Judged.spiffeID) var id: SPIFFEID

    func run() async throws {
        let request = Spire_Api_Server_Agent_V1_GetAgentRequest.with { $0.id = .init(id) }
        let (agent, statuses) = try await admin.withServer { client in
            let agent = try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: client).getAgent(request)
            return (agent, try await AgentDirectory.statuses(of: [agent], client))
        }
        output.show(AgentRendering.one(agent, statuses[agent.id.text] ?? .init()))
    }
}

/// `mintmark agent count`.
struct AgentCountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "count", abstract: "Counts the agents.",
        discussion: """
            EXAMPLES
              mintmark agent count --output json
              mintmark agent count --can-reattest false --expires-before 2030-01-02T03:04:05Z
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var filter: AgentFilterOptions

    func run() async throws {
        let request = Spire_Api_Server_Agent_V1_CountAgentsRequest.with { [filter] in $0.filter = filter.countWire }
        let count = try await admin.withServer {
            try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: $0).countAgents(request).count
        }
        output.show(Rendering(.members(["count": .integer(count)]), table: "\(count) agents"))
    }
}

/// `mintmark agent ban`.
struct AgentBanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ban", abstract: "Bans an agent: it may neither act nor come back.",
        discussion: "EXAMPLE\n  mintmark agent ban spiffe://example.org/spire/agent/join_token/0b7c…")

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The agent's SPIFFE ID.", transform: Judged.spiffeID) var id: SPIFFEID

    func run() async throws {
        let request = Spire_Api_Server_Agent_V1_BanAgentRequest.with { $0.id = .init(id) }
        _ = try await admin.withServer {
            try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: $0).banAgent(request)
        }
        output.show(Rendering(.members(["banned": .string("\(id)")]), table: "banned \(id)"))
    }
}

/// `mintmark agent evict`.
struct AgentEvictCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evict", abstract: "Forgets an agent; it may join again. Also lifts a ban.",
        discussion: "EXAMPLE\n  mintmark agent evict spiffe://example.org/spire/agent/join_token/0b7c…")

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The agent's SPIFFE ID.", transform: Judged.spiffeID) var id: SPIFFEID

    func run() async throws {
        let request = Spire_Api_Server_Agent_V1_DeleteAgentRequest.with { $0.id = .init(id) }
        _ = try await admin.withServer {
            try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: $0).deleteAgent(request)
        }
        output.show(Rendering(.members(["evicted": .string("\(id)")]), table: "evicted \(id)"))
    }
}
