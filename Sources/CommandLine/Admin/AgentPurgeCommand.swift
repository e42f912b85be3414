internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark agent purge`.
struct AgentPurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge", abstract: "Forgets agents whose SVIDs ended long ago.",
        discussion: """
            Only agents that can come back by themselves, unless told otherwise; never a banned one, whose ban would go
            with it.

            EXAMPLES
              mintmark agent purge --dry-run
              mintmark agent purge --expired-for 7d --all
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    @Option(help: ArgumentHelp("How long ago their SVIDs must have ended.", valueName: "duration"))
    var expiredFor = DurationArgument(.seconds(30 * 24 * 3600))

    @Flag(help: "Also agents that need a new join token or a registered key to come back.")
    var all = false

    @Flag(help: "Show what would be forgotten, and forget nothing.")
    var dryRun = false

    func run() async throws {
        let limit = (SystemWallClock().now - expiredFor.duration.timeInterval).formatted(.iso8601)
        let (all, dryRun) = (self.all, self.dryRun)
        let purged = try await admin.withServer { client in
            let agents = Spire_Api_Server_Agent_V1_Agent.Client(wrapping: client)
            var found: [Spire_Api_Types_SPIFFEID] = []
            var token = ""
            repeat {
                let page = try await agents.listAgents(
                    .with { [token] in
                        $0.filter = .with {
                            $0.byExpiresBefore = limit
                            $0.byBanned = .with { $0.value = false }
                            if !all { $0.byCanReattest = .with { $0.value = true } }
                        }
                        $0.outputMask = .init()
                        $0.pageToken = token
                    })
                found += page.agents.map(\.id)
                token = page.nextPageToken
            } while !token.isEmpty
            if !dryRun {
                for id in found { _ = try await agents.deleteAgent(.with { $0.id = id }) }
            }
            return found.map(\.text)
        }
        output.show(
            Rendering(
                .members([
                    "purged": .array(purged.map { .string($0) }), "dry_run": .bool(dryRun),
                ]),
                table: purged.isEmpty
                    ? "no agents to purge"
                    : purged.map { "\(dryRun ? "would purge" : "purged") \($0)" }.joined(separator: "\n")))
    }
}
