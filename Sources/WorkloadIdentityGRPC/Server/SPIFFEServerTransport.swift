internal import GRPCConnections
public import GRPCCore
public import GRPCNIOTransportHTTP2Posix
public import Logging
internal import NIOCore
internal import NIOSSL
public import WorkloadIdentity

/// Serves gRPC over TLS in which both sides are known by their SPIFFE IDs.
///
/// ```swift
/// let source = try await X509Source.start()
/// let server = GRPCServer(
///     transport: SPIFFEServerTransport(
///         host: "0.0.0.0", port: 8443, source: source, authorizing: .memberOf(example)),
///     services: [Greeter()])
/// ```
///
/// The certificate is the source's present one for each new connection. A client's is judged during the handshake by the
/// bundles held at that moment and by the authorizer; no session is resumed past that. Handlers find the client in
/// `ServerContext.transportSpecific` as `TLSPeer`, or with a ``PeerIdentityInterceptor`` in `PeerIdentity.current`.
public struct SPIFFEServerTransport: ServerTransport, ListeningServerTransport {
    /// The bytes of the HTTP/2 transport underneath.
    public typealias Bytes = GRPCNIOTransportBytes

    private let transport: ConnectionAwareTransport<TLSPeer>

    /// Creates a transport that listens once it is served.
    ///
    /// - Parameters:
    ///   - host: The address to listen on, such as `0.0.0.0` or `::`.
    ///   - port: The port; 0 takes any.
    ///   - source: What to present, and whom to judge clients by.
    ///   - authorizer: Which proven clients may connect.
    ///   - clientCertificate: Whether a client must show a certificate; optional where tokens do instead.
    ///   - limits: What one client may cost.
    ///   - logger: Where it tells whom it refused, and why.
    public init(
        host: String, port: Int, source: X509Source, authorizing authorizer: PeerAuthorizer,
        clientCertificate: WorkloadTLS.ClientCertificate = .required, limits: ServerLimits = .init(),
        logger: Logger = Logger(label: "spiffe.grpc.server")
    ) {
        let tls = TLSCore(source: source, authorizing: authorizer, logger: logger, refusalLevel: .info)
        transport = ConnectionAwareTransport(
            endpoint: .tcp(host: host, port: port), limits: limits.peerLimits,
            security: .configured(requireALPN: true)
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                try tls.secureServer(
                    channel.pipeline.syncOperations, applicationProtocols: ["h2"],
                    clientCertificate: clientCertificate)
            }
        }
    }

    /// Where it listens; waits until it does.
    ///
    /// - Throws: `RuntimeError` when it could not listen, or was stopped before.
    public var listeningAddress: GRPCNIOTransportHTTP2Posix.SocketAddress {
        get async throws {
            guard let address = await transport.listeningAddress else {
                throw RuntimeError(code: .transportError, message: "the server is not listening")
            }
            return address
        }
    }

    /// Learns what the server can do.
    ///
    /// Called by `GRPCServer`.
    ///
    /// - Parameter context: What the server can do.
    public func configure(context: GRPCServerContext) { transport.configure(context: context) }

    /// Stops accepting, and lets calls under way finish.
    public func beginGracefulShutdown() { transport.beginGracefulShutdown() }

    /// Accepts and serves until shut down.
    ///
    /// Called by `GRPCServer`.
    ///
    /// - Parameter streamHandler: Handles one call.
    /// - Throws: The reason why it could not listen.
    public func listen(
        streamHandler: @escaping @Sendable (RPCStream<Inbound, Outbound>, ServerContext) async -> Void
    ) async throws {
        try await transport.listen(streamHandler: streamHandler)
    }
}

/// Handlers find the peer as `context.transportSpecific as? TLSPeer`.
extension TLSPeer: ServerContext.TransportSpecific {}
