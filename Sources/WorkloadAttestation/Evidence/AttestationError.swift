/// Why a process could not be attested.
package enum AttestationError: Error, Hashable {
    /// It ended, or its number stands for another process now.
    case gone
    /// The agent may not look at it, or the kernel said what was not expected.
    case unreadable(detail: String)
}

extension AttestationError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .gone: "the process is gone"
        case .unreadable(let detail): "the process cannot be examined: \(detail)"
        }
    }
}
