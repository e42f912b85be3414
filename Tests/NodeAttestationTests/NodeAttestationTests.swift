import Foundation
import NodeAttestation
import SPIFFE

/// What every attestation of these tests is about.
enum NodeAttestationTests {
    static func context(now: Date) -> NodeAttestationContext {
        NodeAttestationContext(trustDomain: trustDomain, now: now, peerAddress: nil, agentKey: [])
    }

    private static var trustDomain: TrustDomain {
        guard let name = try? TrustDomain("example.org") else { preconditionFailure("example.org is a trust domain") }
        return name
    }
}
