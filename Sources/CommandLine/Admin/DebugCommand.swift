internal import ArgumentParser
internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark debug`.
struct DebugCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "debug", abstract: "Shows what a server is made of, and how much callers used of their budgets.",
        discussion: """
            What a server is made of is told through its admin socket alone; budgets are told elsewhere as well.

            EXAMPLES
              mintmark debug --output json
              mintmark debug --budgets --context production
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Show budgets alone, which any viewer may see.")
    var budgets = false

    func run() async throws {
        guard !budgets else {
            let budgets = try await admin.withServer {
                try await Mintmark_V1_Limits.Client(wrapping: $0).get(.init()).budgets
            }
            return output.show(
                Rendering(
                    .members(["budgets": .array(budgets.map(Self.value))]),
                    table: budgets.map(Self.line).joined(separator: "\n")))
        }
        let (info, budgets) = try await admin.withServer { client in
            (
                try await Spire_Api_Server_Debug_V1_Debug.Client(wrapping: client).getInfo(.init()),
                try await Mintmark_V1_Limits.Client(wrapping: client).get(.init()).budgets
            )
        }
        output.show(
            Rendering(
                .members([
                    "uptime": .integer(info.uptime), "agents": .integer(info.agentsCount),
                    "entries": .integer(info.entriesCount), "federated_bundles": .integer(info.federatedBundlesCount),
                    "svid_chain": .array(
                        info.svidChain.map { link in
                            .members([
                                "spiffe_id": link.hasID ? .string(link.id.text) : .null,
                                "subject": .string(link.subject),
                                "expires_at": .string(InstantText.text(link.expiresAt)),
                            ])
                        }),
                    "budgets": .array(budgets.map(Self.value)),
                ]),
                table: TableText.fields([
                    ("Uptime", "\(info.uptime) s"), ("Agents", "\(info.agentsCount)"),
                    ("Entries", "\(info.entriesCount)"), ("Federated bundles", "\(info.federatedBundlesCount)"),
                    (
                        "SVID",
                        info.svidChain.map {
                            "\($0.hasID ? $0.id.text : $0.subject) until \(InstantText.text($0.expiresAt))"
                        }
                        .joined(separator: "\n")
                    ),
                    ("Budgets", budgets.map(Self.line).joined(separator: "\n")),
                ])))
    }

    private static func value(_ budget: Mintmark_V1_GetLimitsResponse.Budget) -> JSONValue {
        .members([
            "name": .string(budget.name), "per_second": .number("\(budget.perSecond)"),
            "burst": .number("\(budget.burst)"), "admitted": .integer(budget.admitted),
            "refused": .integer(budget.refused), "shared": .integer(budget.shared),
            "tracked_callers": .integer(budget.trackedCallers),
        ])
    }

    private static func line(_ budget: Mintmark_V1_GetLimitsResponse.Budget) -> String {
        let rate = budget.perSecond > 0 ? "\(budget.perSecond)/s, \(budget.burst) at once" : "not limited"
        return "\(budget.name): \(rate); \(budget.admitted) admitted, \(budget.refused) refused"
    }
}
