package import SPIFFE

/// Turns a connected process into selectors.
package protocol WorkloadAttestor: Sendable {
    /// Whatever stands for a connected process.
    associatedtype Peer: Sendable

    /// Gathers evidence and confirms afterwards that it is still the same process's.
    ///
    /// - Parameters:
    ///   - peer: The process at the other end.
    ///   - needsDigest: Asked once all cheap facts are known, with the selectors they make.
    /// - Returns: Every selector found. What could not be read is left out, so it never matches.
    /// - Throws: ``AttestationError`` when the process is gone or nothing can be said about it.
    func attest(
        _ peer: Peer, needsDigest: @Sendable (Set<Selector>) -> Bool
    ) async throws(AttestationError) -> Set<Selector>

    /// Whether the process is still the one that connected.
    func isPresent(_ peer: Peer) -> Bool
}

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
