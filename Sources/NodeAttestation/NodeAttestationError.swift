/// Why a node was not attested.
///
/// Descriptions are shown to the node, and say nothing that it did not send or cannot know.
package enum NodeAttestationError: Error, Hashable {
    /// The evidence or an answer cannot be read.
    case malformed(String)
    /// The evidence was read, and does not prove what it should.
    case refused(String)
    /// The node did not answer.
    case exchange(String)
    /// This side is not set up to attest, or what it has to ask cannot be reached.
    case unavailable(String)
}

extension NodeAttestationError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .malformed(let detail): "attestation data cannot be read: \(detail)"
        case .refused(let detail): "attestation refused: \(detail)"
        case .exchange(let detail): "attestation broke off: \(detail)"
        case .unavailable(let detail): "attestation is not possible: \(detail)"
        }
    }
}
