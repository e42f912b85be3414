internal import ArgumentParser
internal import GRPCCore
internal import WorkloadAPIProtos

/// `mintmark doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Says what the agent of this machine can prove, why not more, and which setting changes it.",
        discussion: """
            EXAMPLES
              mintmark doctor
              mintmark doctor --output json
            """)

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let response = try await agent.withAgent { client, metadata, options in
            try await client.describeHost(.init(), metadata: metadata, options: options)
        }
        output.show(AttestationRendering.host(response))
    }
}
