internal import ArgumentParser
internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark audit`.
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Shows what was issued and refused, and why.", subcommands: [Query.self])

    enum Outcome: String, CaseIterable, ExpressibleByArgument {
        case issued
        case denied
    }

    /// `mintmark audit query`.
    struct Query: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Searches the issuance record, newest first.",
            discussion: """
                EXAMPLES
                  mintmark audit query --outcome denied --since 2026-01-31T00:00:00Z
                  mintmark audit query --spiffe-id spiffe://example.org/agents/reviewer --output json
                  mintmark audit query --credential 40dd41c6
                """)

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions

        @Option(help: ArgumentHelp("From this instant on, RFC 3339.", valueName: "instant"))
        var since: InstantArgument?

        @Option(help: ArgumentHelp("Before this instant, RFC 3339.", valueName: "instant"))
        var until: InstantArgument?

        @Option(help: "Whose credentials.", transform: Judged.spiffeID)
        var spiffeID: SPIFFEID?

        @Option(help: "The agent that asked.", transform: Judged.spiffeID)
        var agent: SPIFFEID?

        @Option(
            help: ArgumentHelp(
                "Who asked: a SPIFFE ID, uid:N, oidc:ISSUER:NAME or stranger:ADDRESS.", valueName: "principal"))
        var principal: String?

        @Option(help: "What came of it: issued or denied.")
        var outcome: Outcome?

        @Option(help: ArgumentHelp("A serial number in hex, or a jti.", valueName: "id"))
        var credential: String?

        @Option(help: ArgumentHelp("At most so many.", valueName: "count"))
        var limit = 100

        func validate() throws {
            guard (1...100_000).contains(limit) else { throw ValidationError("'--limit' must be from 1 to 100000") }
            guard agent == nil || principal == nil else {
                throw ValidationError("'--agent' and '--principal' exclude each other")
            }
        }

        func run() async throws {
            let request = Mintmark_V1_QueryIssuancesRequest.with {
                $0.sinceMs = since.map { Self.milliseconds($0.date) } ?? 0
                $0.untilMs = until.map { Self.milliseconds($0.date) } ?? 0
                $0.spiffeID = spiffeID.map { "\($0)" } ?? ""
                $0.principal = agent.map { "\($0)" } ?? principal ?? ""
                $0.credential = credential ?? ""
                switch outcome {
                case .issued?: $0.outcome = .issued
                case .denied?: $0.outcome = .denied
                case nil: break
                }
            }
            let found = try await admin.withServer { [limit] client in
                try await Self.pages(request, limit: limit, Mintmark_V1_Audit.Client(wrapping: client))
            }
            output.show(AuditRendering.list(found))
        }

        private static func pages(
            _ first: Mintmark_V1_QueryIssuancesRequest, limit: Int, _ audit: some Mintmark_V1_Audit.ClientProtocol
        ) async throws -> [Mintmark_V1_Issuance] {
            var found: [Mintmark_V1_Issuance] = []
            var request = first
            repeat {
                request.pageSize = Int32(clamping: limit - found.count)
                let page = try await audit.query(request)
                found += page.issuances
                request.pageToken = page.nextPageToken
            } while !request.pageToken.isEmpty && found.count < limit
            return Array(found.prefix(limit))
        }

        private static func milliseconds(_ date: Date) -> Int64 {
            date.unixMilliseconds
        }
    }
}
