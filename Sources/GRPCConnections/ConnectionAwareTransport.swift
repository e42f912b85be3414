package import GRPCCore
package import GRPCNIOTransportHTTP2Posix
package import NIOCore

/// gRPC over HTTP/2 with handlers that know who is at the other end of their connection.
///
/// All of gRPC and HTTP/2 stays in the stock transport; this gives each accepted channel a name that nobody else has,
/// files what `accept` learned about the peer under it, and hands that to handlers as
/// `ServerContext.transportSpecific`. Where the look-up fails, handlers find nil and refuse.
package struct ConnectionAwareTransport<Connection: ServerContext.TransportSpecific>: ServerTransport {
    package typealias Bytes = GRPCNIOTransportBytes

    private let connections: ConnectionTable<Connection>
    private let listener: Listener<Connection>
    private let http2: HTTP2ServerTransport.Custom<Listener<Connection>>

    /// Creates a transport that listens once it is served.
    ///
    /// - Parameters:
    ///   - endpoint: Where to listen.
    ///   - limits: What a peer may cost.
    ///   - security: Whether `accept` puts TLS in front.
    ///   - explain: Turns the reason why it cannot listen into one for people.
    ///   - accept: Runs on the event loop before the first byte is read. A failure closes that connection alone.
    package init(
        endpoint: ConnectionEndpoint, limits: PeerLimits, security: HTTP2ServerTransport.ConnectionConfigurator.TLS,
        explain: @escaping @Sendable (any Error) -> any Error = { $0 },
        accept: @escaping @Sendable (any Channel) -> EventLoopFuture<Connection>
    ) {
        connections = ConnectionTable()
        listener = Listener(
            endpoint: endpoint, limits: limits, security: security, connections: connections, explain: explain,
            accept: accept)
        http2 = HTTP2ServerTransport.Custom(listenerFactory: listener, config: limits.configuration())
    }

    /// Where it listens; nil when it could not.
    package var listeningAddress: GRPCNIOTransportHTTP2Posix.SocketAddress? {
        get async { await http2.listeningAddress }
    }

    // Must be forwarded: the protocol's default does nothing, and loses what the router knows of the methods.
    package func configure(context: GRPCServerContext) { http2.configure(context: context) }

    package func beginGracefulShutdown() {
        listener.handover.stop { [http2] in http2.beginGracefulShutdown() }
    }

    package func listen(
        streamHandler: @escaping @Sendable (RPCStream<Inbound, Outbound>, ServerContext) async -> Void
    ) async throws {
        // A task of its own, because cancellation must not reach the stock transport before every connection is closed.
        let serving = Task { [http2, connections] in
            try await http2.listen { stream, context in
                var context = context
                let known = connections[context.remotePeer]
                context.transportSpecific = known?.connection
                if let address = known?.address { context.remotePeer = address }
                await streamHandler(stream, context)
            }
        }
        try await withTaskCancellationHandler {
            try await serving.value
        } onCancel: {
            listener.handover.closeAll { serving.cancel() }
        }
    }
}
