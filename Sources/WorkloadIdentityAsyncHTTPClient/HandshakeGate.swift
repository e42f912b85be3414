#if AsyncHTTPClient
    internal import NIOCore
    internal import NIOSSL
    internal import NIOTLS
    internal import Synchronization
    internal import WorkloadIdentity

    /// Holds a new connection back until its TLS handshake is over and the server is known.
    final class HandshakeGate: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = ByteBuffer

        private let opened: EventLoopPromise<Void>
        private let timeout: TimeAmount
        private var server: TLSPeer?
        private let reason: HandshakeFailure
        private var deadline: Scheduled<Void>?

        private init(
            opened: EventLoopPromise<Void>, timeout: TimeAmount, reason: HandshakeFailure
        ) {
            (self.opened, self.timeout, self.reason) = (opened, timeout, reason)
        }

        /// Puts TLS under a connection that speaks plain HTTP so far, and of which nothing was sent yet.
        ///
        /// The TLS handler is in place when this returns. Whatever is written from then on, should it be written too early,
        /// waits inside it for the judgement about the server and is dropped when that is a refusal.
        ///
        /// - Parameters:
        ///   - channel: The connection; called on its event loop.
        ///   - source: What to present, and whom to judge the server by.
        ///   - authorizer: Which servers to talk to.
        ///   - serverName: What to send as SNI.
        ///   - timeout: How long the handshake may take.
        /// - Returns: Succeeds when the server is known; fails after the connection was closed.
        static func secure(
            _ channel: any Channel, source: X509Source, authorizing authorizer: PeerAuthorizer, serverName: String?,
            timeout: TimeAmount
        ) -> EventLoopFuture<Void> {
            let reason = HandshakeFailure()
            let core = TLSCore {
                try source.material()
            } verify: { presented throws(PeerRefusal) in
                do throws(PeerRefusal) {
                    return try source.verify(presented, authorizing: authorizer)
                } catch {
                    reason.set(error)
                    throw error
                }
            }
            let opened = channel.eventLoop.makePromise(of: Void.self)
            // AsyncHTTPClient's pool also waits for the close, and first. It expects a connection that it was told has failed
            // not to close after that, and it does not close one itself.
            channel.closeFuture.whenComplete { _ in opened.fail(reason.error) }
            do {
                let gate = HandshakeGate(opened: opened, timeout: timeout, reason: reason)
                try channel.pipeline.syncOperations.addHandler(gate, position: .first)
                gate.server = try core.secureClient(
                    channel.pipeline.syncOperations, at: .first, applicationProtocols: ["http/1.1"],
                    serverName: serverName)
            } catch {
                reason.set(error)
                channel.close(promise: nil)
            }
            return opened.futureResult
        }

        func handlerAdded(context: ChannelHandlerContext) {
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            deadline = context.eventLoop.scheduleTask(in: timeout) {
                let (gate, context) = bound.value
                gate.reason.set(WorkloadAPIError(.timedOut, "the server did not finish the TLS handshake in time"))
                context.close(promise: nil)
            }
        }

        func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .handshakeCompleted? = event as? TLSUserEvent {
                // Verification is what sets it; a handshake that got by without is none.
                guard server?.svid != nil else {
                    errorCaught(context: context, error: PeerRefusal(.noIdentity, "the server was not verified"))
                    return
                }
                opened.succeed()
                context.pipeline.syncOperations.removeHandler(self, promise: nil)
            }
            context.fireUserInboundEventTriggered(event)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            reason.set(error)
            context.close(promise: nil)
        }
    }

    /// Why a handshake failed; what was noticed first counts.
    private final class HandshakeFailure: Sendable {
        private let first = Mutex<(any Error)?>(nil)

        func set(_ error: any Error) { first.withLock { $0 = $0 ?? error } }

        var error: any Error { first.withLock { $0 } ?? ChannelError.eof }
    }
#endif
