internal import ArgumentParser
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// Everything an admin asks about agents.
enum AgentDirectory {
    /// Every agent, page after page.
    static func all(_ client: GRPCClient<HTTP2ClientTransport.Posix>) async throws -> [Spire_Api_Types_Agent] {
        let agents = Spire_Api_Server_Agent_V1_Agent.Client(wrapping: client)
        var found: [Spire_Api_Types_Agent] = []
        var token = ""
        repeat {
            let request = Spire_Api_Server_Agent_V1_ListAgentsRequest.with { [token] in $0.pageToken = token }
            let page = try await agents.listAgents(request)
            found += page.agents
            token = page.nextPageToken
        } while !token.isEmpty
        return found
    }
}

/// `mintmark agent list`.
struct AgentListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the agents that the server knows.",
        discussion: """
            EXAMPLES
              mintmark agent list
              mintmark agent list --output json
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        output.show(AgentRendering.list(try await admin.withServer { try await AgentDirectory.all($0) }))
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
        output.show(
            AgentRendering.one(
                try await admin.withServer {
                    try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: $0).getAgent(request)
                }))
    }
}

/// `mintmark agent count`.
struct AgentCountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "count", abstract: "Counts the agents.",
        discussion: "EXAMPLE\n  mintmark agent count --output json")

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let count = try await admin.withServer {
            try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: $0).countAgents(.init()).count
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
