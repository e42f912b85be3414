/// An end that the person at the terminal should understand: what went wrong, what to do next, and the exit status.
package struct Failure: Error, Hashable, CustomStringConvertible {
    package let status: ExitStatus
    package let message: String
    /// The next step; nil only where there is none.
    package let hint: String?

    package init(_ status: ExitStatus, _ message: String, hint: String? = nil) {
        (self.status, self.message, self.hint) = (status, message, hint)
    }

    /// `error: …`, then `hint: …`, lower case and without a full stop.
    package var description: String { "error: \(message)" + (hint.map { "\nhint: \($0)" } ?? "") }
}

/// Exit statuses; they are part of the command line's contract.
package enum ExitStatus: Int32, Sendable {
    case done = 0
    /// Refused or failed; also a corrupt database, or a clock before the authority.
    case refused = 1
    /// Flags.
    case usage = 64
    /// The server or agent cannot be reached.
    case unreachable = 69
    /// A socket is taken, or the state folder cannot be written.
    case cannotCreate = 73
    case notPermitted = 77
    case configuration = 78
}
