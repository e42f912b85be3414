internal import GRPCNIOTransportHTTP2Posix
internal import NIOCore
internal import NIOPosix

/// Makes the listening channel and prepares each connection.
final class Listener<Connection: Sendable>: HTTP2ServerTransport.ListenerFactory {
    let handover = Handover()
    let endpoint: ConnectionEndpoint
    let limits: PeerLimits
    let security: HTTP2ServerTransport.ConnectionConfigurator.TLS
    let connections: ConnectionTable<Connection>
    let explain: @Sendable (any Error) -> any Error
    let accept: @Sendable (any Channel) -> EventLoopFuture<Connection>
    private let census: ConnectionCensus

    init(
        endpoint: ConnectionEndpoint, limits: PeerLimits, security: HTTP2ServerTransport.ConnectionConfigurator.TLS,
        connections: ConnectionTable<Connection>, explain: @escaping @Sendable (any Error) -> any Error,
        accept: @escaping @Sendable (any Channel) -> EventLoopFuture<Connection>
    ) {
        self.endpoint = endpoint
        self.limits = limits
        self.security = security
        self.connections = connections
        self.explain = explain
        self.accept = accept
        census = ConnectionCensus(total: limits.connections, ofOne: limits.connectionsOfOne)
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
        do { return try await bind(bootstrap, connectionConfigurator) } catch { throw explain(error) }
    }

    private func bind(
        _ bootstrap: ServerBootstrap, _ connectionConfigurator: HTTP2ServerTransport.ConnectionConfigurator
    ) async throws -> NIOAsyncChannel<HTTP2ServerTransport.ConnectionConfigurator.ConnectionChannel, Never> {
        switch endpoint {
        case .unix(let path, let publish):
            let channel = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true) {
                [self] in initialize($0, connectionConfigurator)
            }
            do { try publish() } catch {
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
            try handover.admit(channel)
            try census.admit(channel)
            try channel.pipeline.syncOperations.addHandler(
                SilenceCutter(opening: limits.openingSilence, later: limits.silence))
        }
        .flatMap { [accept] in accept(channel) }
        .flatMapThrowing { [connections, handover] in
            NamedChannel(channel, name: try connections.insert($0, of: channel)) {
                handover.arrived(channel)
            }
        }
        .flatMap { [security] in configurator.configure(channel: $0, tls: security) }
        .flatMapErrorThrowing { error in
            // NIO drops a channel whose initializer failed without closing it.
            channel.close(promise: nil)
            throw error
        }
    }
}
