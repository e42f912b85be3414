internal import Foundation
internal import Glibc
package import GRPCCore
package import GRPCNIOTransportHTTP2Posix
package import NIOCore
internal import NIOPosix
internal import Synchronization

/// gRPC over HTTP/2 with handlers that know who is at the other end of their connection.
///
/// All of gRPC and HTTP/2 stays in the stock transport; this gives each accepted channel a name that nobody else has,
/// files what `accept` learned about the peer under it, and hands that to handlers as
/// `ServerContext.transportSpecific`. Where the look-up fails, handlers find nil and refuse.
package struct ConnectionAwareTransport<Connection: ServerContext.TransportSpecific>: ServerTransport {
    package typealias Bytes = GRPCNIOTransportBytes

    /// How long accepted connections have to reach the transport before it stops taking them.
    private static var handOver: TimeAmount { .milliseconds(200) }

    private let connections: ConnectionTable<Connection>
    private let listener: Listener<Connection>
    private let http2: HTTP2ServerTransport.Custom<Listener<Connection>>

    /// Creates a transport that listens once it is served.
    ///
    /// - Parameters:
    ///   - endpoint: Where to listen.
    ///   - limits: What a peer may cost.
    ///   - security: Whether `accept` puts TLS in front.
    ///   - accept: Runs on the event loop before the first byte is read. A failure closes that connection alone.
    package init(
        endpoint: ListeningEndpoint, limits: PeerLimits, security: HTTP2ServerTransport.ConnectionConfigurator.TLS,
        accept: @escaping @Sendable (any Channel) -> EventLoopFuture<Connection>
    ) {
        connections = ConnectionTable()
        listener = Listener(
            endpoint: endpoint, limits: limits, security: security, connections: connections, accept: accept)
        http2 = HTTP2ServerTransport.Custom(listenerFactory: listener, config: limits.configuration())
    }

    /// Where it listens; nil when it could not.
    package var listeningAddress: GRPCNIOTransportHTTP2Posix.SocketAddress? {
        get async { await http2.listeningAddress }
    }

    // Must be forwarded: the protocol's default does nothing, and loses what the router knows of the methods.
    package func configure(context: GRPCServerContext) { http2.configure(context: context) }

    package func beginGracefulShutdown() {
        // A connection that was prepared but not yet taken over when the transport stops listening is dropped in a state
        // that traps. So nothing new is prepared from here on, and what was prepared is given time to be taken over.
        listener.isClosing.store(true, ordering: .releasing)
        listener.eventLoopGroup.any().scheduleTask(in: Self.handOver) { [http2] in http2.beginGracefulShutdown() }
    }

    package func listen(
        streamHandler: @escaping @Sendable (RPCStream<Inbound, Outbound>, ServerContext) async -> Void
    ) async throws {
        try await http2.listen { stream, context in
            var context = context
            context.transportSpecific = connections[context.remotePeer]
            await streamHandler(stream, context)
        }
    }
}

/// Where a server listens.
package enum ListeningEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// A Unix socket, with the permission bits that say who may connect.
    case unix(UnixSocketPath, mode: UInt32)
    /// A TCP address; port 0 takes any.
    case tcp(host: String, port: Int)

    package var description: String {
        switch self {
        case .unix(let path, mode: _): path.path
        case .tcp(let host, let port): "\(host):\(port)"
        }
    }
}

/// Makes the listening channel and prepares each connection.
final class Listener<Connection: Sendable>: HTTP2ServerTransport.ListenerFactory {
    let isClosing = Atomic(false)
    let endpoint: ListeningEndpoint
    let limits: PeerLimits
    let security: HTTP2ServerTransport.ConnectionConfigurator.TLS
    let connections: ConnectionTable<Connection>
    let accept: @Sendable (any Channel) -> EventLoopFuture<Connection>

    init(
        endpoint: ListeningEndpoint, limits: PeerLimits, security: HTTP2ServerTransport.ConnectionConfigurator.TLS,
        connections: ConnectionTable<Connection>,
        accept: @escaping @Sendable (any Channel) -> EventLoopFuture<Connection>
    ) {
        self.endpoint = endpoint
        self.limits = limits
        self.security = security
        self.connections = connections
        self.accept = accept
    }

    var eventLoopGroup: any EventLoopGroup { .singletonMultiThreadedEventLoopGroup }

    func makeListeningChannel(
        listenerConfigurator: HTTP2ServerTransport.ListenerConfigurator,
        connectionConfigurator: HTTP2ServerTransport.ConnectionConfigurator
    ) async throws -> NIOAsyncChannel<HTTP2ServerTransport.ConnectionConfigurator.ConnectionChannel, Never> {
        let bootstrap = ServerBootstrap(group: eventLoopGroup)
            // NIO's own 128 makes clients back off for a second when a thousand come at once.
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelInitializer { listenerConfigurator.configure(channel: $0) }
        do {
            return try await bind(bootstrap, connectionConfigurator)
        } catch let failure as Failure {
            throw failure
        } catch {
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)).lowercased() } ?? "\(error)"
            throw Failure(
                .cannotCreate, "cannot listen on \(endpoint): \(reason)",
                hint: "stop whatever uses it, or choose another address")
        }
    }

    private func bind(
        _ bootstrap: ServerBootstrap, _ connectionConfigurator: HTTP2ServerTransport.ConnectionConfigurator
    ) async throws -> NIOAsyncChannel<HTTP2ServerTransport.ConnectionConfigurator.ConnectionChannel, Never> {
        switch endpoint {
        case .unix(let path, let mode):
            let channel = try await bootstrap.bind(
                unixDomainSocketPath: path.staging, cleanupExistingSocketFile: true
            ) { [self] in initialize($0, connectionConfigurator) }
            do { try path.publish(mode: mode) } catch {
                try? await channel.channel.close()
                throw error
            }
            return channel
        case .tcp(let host, let port):
            return try await bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: host, port: port) { [self] in initialize($0, connectionConfigurator) }
        }
    }

    private func initialize(
        _ channel: any Channel, _ configurator: HTTP2ServerTransport.ConnectionConfigurator
    ) -> EventLoopFuture<HTTP2ServerTransport.ConnectionConfigurator.ConnectionChannel> {
        channel.eventLoop.makeCompletedFuture {
            guard !isClosing.load(ordering: .acquiring) else { throw ChannelError.alreadyClosed }
            try channel.pipeline.syncOperations.addHandler(
                SilenceCutter(opening: limits.openingSilence, later: limits.silence))
        }
        .flatMap { [accept] in accept(channel) }
        .flatMapThrowing { [connections] in
            NamedChannel(channel, name: try connections.insert($0, until: channel.closeFuture))
        }
        .flatMap { [security] in configurator.configure(channel: $0, tls: security) }
        .flatMapErrorThrowing { error in
            // NIO drops a channel whose initializer failed without closing it.
            channel.close(promise: nil)
            throw error
        }
    }
}
