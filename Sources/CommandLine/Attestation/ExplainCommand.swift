internal import ArgumentParser
internal import GRPCCore
internal import SwiftProtobuf
internal import WorkloadAPIProtos

/// `mintmark explain`.
struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Says what a process is taken for, and why it holds an identity or not.",
        discussion: """
            Shows every fact with where it is from, the assurance level, what the next level lacks, the entries that
            match, and the nearest of the others with the selector that failed.

            Root may ask about any process, everybody else about their own.

            EXAMPLES
              mintmark explain 4242
              mintmark explain $$ --output json
            """)

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: ArgumentHelp("The process.", valueName: "pid")) var pid: ProcessNumber

    func run() async throws {
        let request = Mintmark_V1_ExplainRequest.with { $0.pid = pid.pid }
        let response = try await agent.withAgent { client, metadata, options in
            try await client.explain(request, metadata: metadata, options: options)
        }
        output.show(AttestationRendering.explanation(response))
    }
}

/// `mintmark entry suggest`.
struct EntrySuggestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suggest", abstract: "Proposes selectors for a process, the strongest first.",
        discussion: """
            EXAMPLES
              mintmark entry suggest 4242
              mintmark entry suggest 4242 --output json
            """)

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: ArgumentHelp("The process.", valueName: "pid")) var pid: ProcessNumber

    func run() async throws {
        let request = Mintmark_V1_SuggestSelectorsRequest.with { $0.pid = pid.pid }
        let response = try await agent.withAgent { client, metadata, options in
            try await client.suggestSelectors(request, metadata: metadata, options: options)
        }
        output.show(AttestationRendering.suggestions(response))
        for warning in response.warnings { Terminal.complain("warning: \(TableText.printable(warning))") }
    }
}
