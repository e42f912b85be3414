internal import ArgumentParser
internal import GRPCCore
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark server accept-rollback`.
struct AcceptRollbackCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept-rollback", abstract: "Lets nodes in again after the database was brought back.",
        discussion: """
            A database that was restored from a backup has forgotten which join tokens were used since, and which agents
            were banned or evicted. The server sees that by a number it keeps beside the database, or by its absence, and
            serves no agent until this command was given; agents go on with the SVIDs that they hold. Ban again first what
            was banned since the backup: 'mintmark agent ban'.

            Every join token in the database is dropped. A server whose whole folder was brought back, with the number in
            it, notices nothing: 'security_mark_path' in its configuration puts the number elsewhere.

            EXAMPLES
              mintmark server accept-rollback --dry-run
              mintmark server accept-rollback
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Show what was found, and change nothing.")
    var dryRun = false

    func run() async throws {
        let dryRun = self.dryRun
        let (rollback, accepted) = try await admin.withServer { client in
            let nodes = Mintmark_V1_Nodes.Client(wrapping: client)
            let rollback = try await nodes.getRollback(.init())
            guard !dryRun else { return (rollback, Mintmark_V1_AcceptRollbackResponse()) }
            return (rollback, try await nodes.acceptRollback(.init()))
        }
        output.show(
            Rendering(
                .members([
                    "found": .bool(rollback.found), "accepted": .bool(accepted.accepted),
                    "stored_revision": .integer(rollback.storedRevision),
                    "marked_revision": rollback.hasMarkedRevision ? .integer(rollback.markedRevision) : .null,
                    "dropped_tokens": .integer(accepted.droppedTokens),
                ]), table: Self.text(rollback, accepted)))
    }

    private static func text(
        _ rollback: Mintmark_V1_Rollback, _ accepted: Mintmark_V1_AcceptRollbackResponse
    ) -> String {
        guard rollback.found else { return "the database is not older than it was" }
        let once =
            rollback.hasMarkedRevision
            ? "once at \(rollback.markedRevision)" : "without the mark that says where it was"
        let found = "database at revision \(rollback.storedRevision), \(once)"
        return accepted.accepted ? "\(found): accepted, \(accepted.droppedTokens) join tokens dropped" : found
    }
}
