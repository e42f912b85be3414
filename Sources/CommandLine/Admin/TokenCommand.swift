internal import ArgumentParser
internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark token`.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Creates join tokens for node agents.", subcommands: [Create.self])

    /// `mintmark token create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Creates a token that lets one agent join once.",
            discussion: """
                EXAMPLES
                  mintmark token create --ttl 5m
                  mintmark token create --spiffe-id spiffe://example.org/nodes/build --output json
                """)

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions

        @Option(help: ArgumentHelp("How long the token may be used.", valueName: "duration"))
        var ttl = DurationArgument(.seconds(600))

        @Option(
            help: ArgumentHelp(
                "An alias that the joining agent gets as well; entries can name it as parent.", valueName: "id"),
            transform: Judged.spiffeID)
        var spiffeID: SPIFFEID?

        func run() async throws {
            let request = Spire_Api_Server_Agent_V1_CreateJoinTokenRequest.with {
                $0.ttl = Int32(clamping: ttl.duration.components.seconds)
                if let spiffeID { $0.agentID = .init(spiffeID) }
            }
            let token = try await admin.withServer { client in
                try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: client).createJoinToken(request)
            }
            let expiry = InstantText.text(token.expiresAt)
            output.show(
                Rendering(
                    .members(["token": .string(token.value), "expires_at": .string(expiry)]),
                    table: TableText.fields([("Token", token.value), ("Expires", expiry)])))
        }
    }
}
