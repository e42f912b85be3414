package import SPIFFE
internal import Synchronization

/// The agent half of the same process, as the issuer half sees it: it presents an X.509-SVID like any other agent.
package final class EmbeddedPeer: Sendable {
    private let presented = Mutex<VerifiedX509SVID?>(nil)

    package init() {}

    /// What the agent half presents, verified by the same rules as over TLS.
    package var svid: VerifiedX509SVID? { presented.withLock { $0 } }

    /// Takes over a verified SVID.
    package func present(_ svid: VerifiedX509SVID) { presented.withLock { $0 = svid } }
}
