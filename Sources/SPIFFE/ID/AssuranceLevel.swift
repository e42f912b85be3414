/// How surely the code behind a process is known.
///
/// Levels are defined by what has been shown, not by the system calls that showed it. Each includes those below it.
/// Both sides of the system speak of them: the issuer stores the least that an entry asks for, the node agent finds
/// what a process reaches.
package enum AssuranceLevel: Int, Comparable, Hashable, Sendable, CaseIterable {
    /// The user and groups alone.
    case account = 0
    /// The digest of the file behind the executable link, which its owner can forge.
    case executableLink = 1
    /// The connection is bound to one process instance and image, which is not traced, runs in a known place, has its
    /// executable mapped at the entry point, and holds no anonymous executable memory.
    case boundImage = 2
    /// The executable was measured when it was executed, and every executable mapping is known and clean.
    case measuredExec = 3

    /// The number that entries, tokens and messages carry.
    package var number: Int { rawValue }

    package static func < (one: AssuranceLevel, other: AssuranceLevel) -> Bool { one.rawValue < other.rawValue }
}

extension AssuranceLevel: CustomStringConvertible {
    /// `AL0` to `AL3`.
    package var description: String { "AL\(rawValue)" }
}
