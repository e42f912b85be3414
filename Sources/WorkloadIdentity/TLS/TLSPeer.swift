public import SPIFFE
internal import Synchronization

/// Who is at the other end of a TLS connection: nobody known until a certificate has been verified.
public final class TLSPeer: Sendable {
    private let state = Mutex<VerifiedX509SVID?>(nil)

    package init() {}

    /// The verified SVID; nil before the handshake is over, and when the peer presented none.
    public var svid: VerifiedX509SVID? { state.withLock { $0 } }

    package func set(_ svid: VerifiedX509SVID) { state.withLock { $0 = svid } }
}
