internal import ArgumentParser
internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark approval`.
struct ApprovalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approval", abstract: "Shows and answers calls of which two people must agree.",
        subcommands: [List.self, Approve.self, Deny.self])

    private static func value(_ approval: Mintmark_V1_Approval) -> JSONValue {
        .members([
            "id": .string(approval.id),
            "method": .string(approval.method),
            "request": .string(approval.request),
            "requester": .string(approval.requester),
            "requested_at": .string(InstantText.text(approval.requestedAt)),
            "expires_at": .string(InstantText.text(approval.expiresAt)),
            "approver": approval.approver.isEmpty ? .null : .string(approval.approver),
        ])
    }

    /// `mintmark approval list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the calls that wait for a second person.", discussion: "EXAMPLE\n  mintmark approval list")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let waiting = try await admin.withServer {
                try await Mintmark_V1_Approvals.Client(wrapping: $0).list(.init()).approvals
            }
            output.show(
                Rendering(
                    .members(["approvals": .array(waiting.map(ApprovalCommand.value))]),
                    table: TableText.rows(
                        ["ID", "CALL", "REQUEST", "BY", "APPROVED BY", "UNTIL"],
                        waiting.map { approval in
                            [
                                approval.id, String(approval.method.split(separator: "/").last ?? ""),
                                approval.request, approval.requester, approval.approver,
                                InstantText.text(approval.expiresAt),
                            ]
                        }, empty: "nothing waits")))
        }
    }

    /// `mintmark approval approve`.
    struct Approve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Agrees to somebody else's call, who can then make it again.",
            discussion: "EXAMPLE\n  mintmark approval approve 0b7c2f1e-…")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The request.") var id: String

        func run() async throws {
            let approval = try await admin.withServer { [id] client in
                try await Mintmark_V1_Approvals.Client(wrapping: client).approve(.with { $0.id = id })
            }
            output.show(
                Rendering(
                    ApprovalCommand.value(approval),
                    table: "approved \(approval.id); \(approval.requester) can now make the call again"))
        }
    }

    /// `mintmark approval deny`.
    struct Deny: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Turns a request down, or takes it back.",
            discussion: "EXAMPLE\n  mintmark approval deny 0b7c2f1e-…")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The request.") var id: String

        func run() async throws {
            _ = try await admin.withServer { [id] client in
                try await Mintmark_V1_Approvals.Client(wrapping: client).deny(.with { $0.id = id })
            }
            output.show(Rendering(.members(["denied": .string(id)]), table: "denied \(id)"))
        }
    }
}
