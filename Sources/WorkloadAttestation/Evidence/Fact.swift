/// Something about a process: what it is and who says so, or why it is not known.
///
/// What is unknown never matches anything, and `explain` names it.
package enum Fact<Value: Sendable>: Sendable {
    case known(Value, Provenance)
    case unknown(Gap)

    /// The value, if it is known.
    package var value: Value? {
        if case .known(let value, _) = self { value } else { nil }
    }

    /// Why it is not known, if it is not.
    package var gap: Gap? {
        if case .unknown(let gap) = self { gap } else { nil }
    }

    /// The same fact about something derived from it.
    package func map<Other>(_ transform: (Value) -> Other) -> Fact<Other> {
        switch self {
        case .known(let value, let provenance): .known(transform(value), provenance)
        case .unknown(let gap): .unknown(gap)
        }
    }
}

extension Fact: Equatable where Value: Equatable {}
extension Fact: Hashable where Value: Hashable {}

/// Where a fact is from.
package enum Provenance: String, Hashable, Sendable {
    /// Noted by the kernel when the socket was connected.
    case socket
    /// Told by the kernel of the pidfd.
    case pidfd
    /// Read below `/proc/PID`.
    case proc
    /// Noted by the exec journal when it happened.
    case journal
    /// Read from the file that runs or is mapped.
    case file
    /// Read from the package manager's records.
    case packageRecords = "package-records"
    /// Told by the service manager's cgroups.
    case cgroup
    /// Told by the container runtime.
    case runtime
}

/// Why a fact is not known; a short text for admins, such as `exec journal is not running`.
package struct Gap: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
