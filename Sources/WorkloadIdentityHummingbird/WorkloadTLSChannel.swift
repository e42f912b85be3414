#if Hummingbird
    public import HummingbirdCore
    public import Logging
    public import NIOCore
    public import WorkloadIdentity

    /// Puts `WorkloadTLS` in front of another kind of connection.
    ///
    /// `HTTPServerBuilder.spiffe(source:authorizing:)` puts it in front of HTTP/1.1, which is what most services want. Each
    /// connection gets the certificate of its own moment and no session is
    /// resumed; ``PeerIdentityMiddleware`` learns who is at its other end.
    public struct WorkloadTLSChannel<Base: ServerChildChannel>: ServerChildChannel {
        /// A connection of the base, and who is at its other end.
        public struct Value: ServerChildChannelValue {
            let base: Base.Value
            let peer: TLSPeer

            /// The connection.
            public var channel: any Channel { base.channel }
        }

        private let base: Base
        private let tls: WorkloadTLS
        private let applicationProtocols: [String]
        private let clientCertificate: WorkloadTLS.ClientCertificate

        /// Wraps a kind of connection.
        ///
        /// - Parameters:
        ///   - base: What speaks inside TLS.
        ///   - tls: What to present, and whom to let in.
        ///   - applicationProtocols: What the base speaks, in the words of ALPN.
        ///   - clientCertificate: Whether a client must show a certificate.
        public init(
            _ base: Base, tls: WorkloadTLS, applicationProtocols: [String] = ["http/1.1"],
            clientCertificate: WorkloadTLS.ClientCertificate = .required
        ) {
            (self.base, self.tls) = (base, tls)
            (self.applicationProtocols, self.clientCertificate) = (applicationProtocols, clientCertificate)
        }

        /// Puts TLS into a new connection's pipeline, and then what the base needs.
        ///
        /// - Parameters:
        ///   - channel: The connection.
        ///   - logger: The server's.
        /// - Returns: The connection; fails, and with it the connection, when there is no identity to present.
        public func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
            channel.eventLoop.makeCompletedFuture {
                try tls.secureServer(
                    channel.pipeline.syncOperations, applicationProtocols: applicationProtocols,
                    clientCertificate: clientCertificate)
            }.flatMap { peer in
                base.setup(channel: channel, logger: logger).map { Value(base: $0, peer: peer) }
            }.flatMapErrorThrowing { error in
                // Nobody else closes what could not be set up.
                channel.close(promise: nil)
                logger.warning("connection refused", metadata: [LogKey.reason: "\(error)"])
                throw error
            }
        }

        /// Serves a connection, in a task that knows who is at its other end.
        ///
        /// - Parameters:
        ///   - value: The connection.
        ///   - logger: The server's.
        public func handle(value: Value, logger: Logger) async {
            await ConnectionPeer.$current.withValue(value.peer) {
                await base.handle(value: value.base, logger: logger)
            }
        }
    }

    extension WorkloadTLSChannel: HTTPChannelHandler where Base: HTTPChannelHandler {
        /// What answers requests: the base's.
        public var responder: HTTPChannelHandler.Responder { base.responder }
    }
#endif
