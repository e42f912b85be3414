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
        } else if !text.isEmpty {
            Terminal.complain(text.hasPrefix("Error: ") ? "error: " + text.dropFirst("Error: ".count) : text)
        }
        return status
    }
}
