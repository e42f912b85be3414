internal import ArgumentParser
internal import SPIFFE

extension OutputFormat: ExpressibleByArgument {}

/// How to show the result.
struct OutputOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "How to show the result: table, json or yaml.")
    var output: OutputFormat = .table

    /// Shows a result on standard output.
    func show(_ rendering: Rendering) { Terminal.say(rendering.text(output)) }
}
