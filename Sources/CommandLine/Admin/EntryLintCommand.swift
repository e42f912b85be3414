internal import ArgumentParser
internal import Bootstrap
internal import GRPCCore
internal import IssuerAPIProtos
internal import SwiftProtobuf

/// `mintmark entry lint`.
struct EntryLintCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lint", abstract: "Looks for entries that get in each other's way or can never match.",
        discussion: """
            Without files it looks at what is stored. Exit status 1 says that something was found.

            EXAMPLES
              mintmark entry lint
              mintmark entry lint -f entries/
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    @Option(name: .shortAndLong, help: ArgumentHelp("A file, a folder, or - for standard input.", valueName: "path"))
    var file: [String] = []

    func run() async throws {
        let documents = try DocumentOptions.read(file)
        let answer = try await admin.withServer {
            try await Mintmark_V1_Declarations.Client(wrapping: $0).lint(.with { $0.documents = documents })
        }
        output.show(ApplyRendering.lint(answer))
        guard answer.problems.isEmpty, answer.findings.isEmpty else {
            let count = answer.problems.count + answer.findings.count
            throw Failure(
                .refused, "\(count) findings", hint: "change the entries, or leave them as they are knowingly")
        }
    }
}
