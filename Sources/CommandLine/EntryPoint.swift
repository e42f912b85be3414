internal import ArgumentParser
internal import Bootstrap
internal import Foundation

/// Runs the command line and says how it ended.
package enum EntryPoint {
    /// Parses, runs, and reports errors on standard error.
    ///
    /// - Parameter arguments: Without the program's name.
    /// - Returns: The exit status.
    package static func run(_ arguments: [String]) async -> Int32 {
        do {
            var command = try Mintmark.parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            guard !Terminal.hasLostData else {
                Terminal.complain(
                    "\(Failure(.refused, "standard output cannot be written", hint: "see where it leads"))")
                return ExitStatus.refused.rawValue
            }
            return ExitStatus.done.rawValue
        } catch let failure as Failure {
            Terminal.complain("\(failure)")
            return failure.status.rawValue
        } catch {
            return report(error)
        }
    }

    /// Usage errors and requests for help, as the parser words them.
    private static func report(_ error: any Error) -> Int32 {
        let text = Mintmark.fullMessage(for: error)
        let status = Mintmark.exitCode(for: error).rawValue
        if status == 0 {
            Terminal.say(text)
        } else {
            Terminal.complain("\(UsageText.failure(text, status: ExitStatus(rawValue: status) ?? .usage))")
        }
        return status
    }
}

/// The parser's words in the shape that every other error has.
enum UsageText {
    /// Splits `Error: …`, `Usage: …` and `See '… --help' for more information.` into an error and a next step.
    static func failure(_ text: String, status: ExitStatus) -> Failure {
        var message: [Substring] = []
        var help = "mintmark --help"
        for line in text.split(separator: "\n", omittingEmptySubsequences: true) {
            if line.hasPrefix("Usage:") || line.hasPrefix("Help:") { continue }
            if line.contains("--help' for more information"),
                let quoted = line.split(separator: "'").dropFirst().first
            {
                help = String(quoted)
                continue
            }
            message.append(line)
        }
        var joined = message.joined(separator: "\n")
        if joined.hasPrefix("Error: ") { joined.removeFirst("Error: ".count) }
        return Failure(status, joined.isEmpty ? "the command is not understood" : joined, hint: "see '\(help)'")
    }
}
