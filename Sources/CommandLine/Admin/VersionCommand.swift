internal import ArgumentParser
internal import Platform
internal import SPIFFE

/// `mintmark version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Prints the version.",
        discussion: "EXAMPLE\n  mintmark version --output json")

    @OptionGroup var output: OutputOptions

    func run() throws {
        output.show(Rendering(.members(["version": .string(Version.text)]), table: "mintmark \(Version.text)"))
    }
}
