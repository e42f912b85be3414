internal import ArgumentParser
internal import Bootstrap
internal import LinuxKernel

/// `mintmark agent guardian`: lets execs go that the agent holds and does not answer for.
///
/// Started by the agent alone.
struct GuardianSubcommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guardian", abstract: "Lets held execs go when the agent does not answer; started by the agent.",
        shouldDisplay: false)

    /// How the agent calls it.
    static let words = ["agent", "guardian"]

    func run() throws {
        do throws(LinuxError) { try GuardianProcess.run() } catch {
            throw Failure(.usage, "the guardian is started by the agent: \(error)", hint: "see 'mintmark agent --help'")
        }
    }
}
