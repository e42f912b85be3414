package import Foundation
package import SPIFFE

/// Who a node proved to be.
package struct AttestedNode: Hashable, Sendable {
    /// What follows `/spire/agent/` in its SPIFFE ID, such as `x509pop/…`; valid path segments.
    package let path: String
    /// What was proven of it, of the kind that its attestor is called.
    package let selectors: [Selector]
    /// False where this proof is trusted on first use only, though its type's others may be repeated.
    package let canReattest: Bool

    package init(path: String, selectors: [Selector], canReattest: Bool) {
        (self.path, self.selectors, self.canReattest) = (path, selectors, canReattest)
    }
}

/// What the issuer knows of an attestation beside the evidence.
package struct NodeAttestationContext: Sendable {
    package let trustDomain: TrustDomain
    package let now: Date
    /// Where the call came from: an IP literal, or nil when it did not come over TCP.
    package let peerAddress: String?
    /// SubjectPublicKeyInfo of the key that the agent's SVID will have, DER.
    package let agentKey: [UInt8]

    package init(trustDomain: TrustDomain, now: Date, peerAddress: String?, agentKey: [UInt8]) {
        (self.trustDomain, self.now, self.peerAddress, self.agentKey) = (trustDomain, now, peerAddress, agentKey)
    }
}

/// What a node may send and how often it is asked.
package enum NodeAttestationLimits {
    /// Bytes of the first message's payload.
    package static let payload = 64 << 10
    /// Bytes of an answer.
    package static let answer = 64 << 10
    package static let challenges = 4
}
