internal import ArgumentParser
internal import Bootstrap
internal import GRPCCore
internal import SPIFFE
internal import SwiftProtobuf
internal import WorkloadAPIProtos

/// `mintmark entry test`.
struct EntryTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Says whether an entry, registered or not, would match a process.",
        discussion: """
            Ends with status 1 when it does not match.

            EXAMPLES
              mintmark entry test --pid 4242 --entry 7c0d…
              mintmark entry test --pid 4242 --selector unix:uid:1000 --selector exec:sha256:9f86d0… --min-assurance 3
            """)

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    @Option(help: ArgumentHelp("The process.", valueName: "pid")) var pid: ProcessNumber

    @Option(help: ArgumentHelp("The ID of a registered entry.", valueName: "id")) var entry: String?

    @Option(
        help: ArgumentHelp("What must be found on the process; repeat for more.", valueName: "k:v"),
        transform: Judged.selector)
    var selector: [Selector] = []

    @Option(help: ArgumentHelp("The least assurance level, 0 to 3.", valueName: "n")) var minAssurance: UInt32 = 2

    @Flag(help: "Admit anonymous executable memory, as JIT compilers make it.") var allowJit = false

    func validate() throws {
        guard (entry == nil) != selector.isEmpty else {
            throw ValidationError("give either '--entry' or at least one '--selector'")
        }
        guard AssuranceLevel(rawValue: Int(minAssurance)) != nil else {
            throw ValidationError("'--min-assurance' must be 0 to 3")
        }
    }

    func run() async throws {
        let request = Mintmark_V1_TestEntryRequest.with {
            $0.pid = pid.pid
            $0.entryID = entry ?? ""
            $0.selectors = selector.map { "\($0)" }
            $0.minimumAssurance = minAssurance
            $0.allowJit = allowJit
        }
        let response = try await agent.withAgent { client, metadata, options in
            try await client.testEntry(request, metadata: metadata, options: options)
        }
        output.show(AttestationRendering.test(response))
        guard response.matches else {
            throw Failure(
                .refused, "the entry does not match process \(pid.pid)",
                hint: "see all that is known of it with 'mintmark explain \(pid.pid)'")
        }
    }
}
