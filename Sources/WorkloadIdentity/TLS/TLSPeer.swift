internal import NIOCore
internal import NIOTLS
public import SPIFFE
internal import Synchronization

/// Who is at the other end of a TLS connection: nobody known until the handshake is over.
public final class TLSPeer: Sendable {
    private enum State {
        case unknown
        /// Has shown a certificate that is good, and not yet that it holds the key.
        case presented(VerifiedX509SVID)
        case proven(VerifiedX509SVID)
    }

    private let state = Mutex(State.unknown)

    package init() {}

    /// The verified SVID; nil before the handshake is over, and when the peer presented none.
    public var svid: VerifiedX509SVID? {
        state.withLock { state in
            if case .proven(let svid) = state { svid } else { nil }
        }
    }

    package func present(_ svid: VerifiedX509SVID) { state.withLock { $0 = .presented(svid) } }

    /// The handshake is over: what was presented belongs to who presented it.
    package func prove() {
        state.withLock { state in
            if case .presented(let svid) = state { state = .proven(svid) }
        }
    }
}

/// Stands behind TLS, and tells a ``TLSPeer`` when the handshake is over, before anyone further on hears of it.
final class HandshakeWitness: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let peer: TLSPeer

    init(_ peer: TLSPeer) { self.peer = peer }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { peer.prove() }
        context.fireUserInboundEventTriggered(event)
    }
}
