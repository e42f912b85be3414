/// Why a node did not prove itself, in words that it may read.
package struct NodeProofFailure: Error, Hashable, CustomStringConvertible {
    /// What kind of failure, as far as the node can act on it.
    package enum Kind: Hashable, Sendable {
        /// What it sent cannot be read.
        case malformed
        /// What it sent proves nothing.
        case refused
        /// It did not answer, or not in time.
        case exchange
        /// The issuer cannot judge now.
        case unavailable
    }

    package let kind: Kind
    package let description: String

    package init(_ kind: Kind, _ description: String) { (self.kind, self.description) = (kind, description) }
}
