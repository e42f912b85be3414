public import GRPCCore
public import GRPCNIOTransportHTTP2Posix
public import Logging
internal import NIOCore
internal import NIOSSL
internal import SPIFFE
public import WorkloadIdentity

extension ClientTransport where Self == HTTP2ClientTransport.Posix {
    /// Makes a transport to a host, over TLS in which both sides are known by their SPIFFE IDs.
    ///
    /// ```swift
    /// let source = try await X509Source.start()
    /// let client = GRPCClient(
    ///     transport: try .spiffe(host: "orders.internal", port: 8443, source: source, authorizing: .id(orders)))
    /// ```
    ///
    /// The certificate is the source's present one for each new connection; without one, no connection is made. The server's
    /// is judged by the bundles held at that moment and by the authorizer. Host names play no part in it.
    ///
    /// - Parameters:
    ///   - host: A name to resolve, or an IP address.
    ///   - port: The port.
    ///   - source: What to present, and whom to judge the server by.
    ///   - authorizer: Which proven servers will do.
    ///   - config: How connections behave.
    ///   - serviceConfig: How calls behave: retries, load balancing.
    ///   - logger: Where it tells which servers it refused, and why.
    /// - Returns: A transport that connects once a client runs it.
    /// - Throws: `RuntimeError` when nothing can resolve the host.
    public static func spiffe(
        host: String, port: Int, source: X509Source, authorizing authorizer: PeerAuthorizer,
        config: HTTP2ClientTransport.Posix.Config = .defaults, serviceConfig: ServiceConfig = .init(),
        logger: Logger = Logger(label: "spiffe.grpc.client")
    ) throws -> Self {
        let isIPv4 = IPAddressLiteral.isIPv4(host)
        let isIPv6 = !isIPv4 && IPAddressLiteral.isIPv6(host)
        let target: any ResolvableTarget =
            isIPv4
            ? .ipv4(address: host, port: port)
            : isIPv6 ? .ipv6(address: host, port: port) : .dns(host: host, port: port)
        // An address is no name to indicate (RFC 6066 §3).
        return try spiffe(
            target: target, serverName: isIPv4 || isIPv6 ? nil : host, source: source, authorizing: authorizer,
            config: config, serviceConfig: serviceConfig, logger: logger)
    }

    /// Makes a transport to anything that can be resolved, over TLS in which both sides are known by their SPIFFE IDs.
    ///
    /// - Parameters:
    ///   - target: What to connect to.
    ///   - serverName: What to send as SNI, for a proxy on the way; it is not compared with anything.
    ///   - source: What to present, and whom to judge the server by.
    ///   - authorizer: Which proven servers will do.
    ///   - config: How connections behave.
    ///   - serviceConfig: How calls behave: retries, load balancing.
    ///   - logger: Where it tells which servers it refused, and why.
    /// - Returns: A transport that connects once a client runs it.
    /// - Throws: `RuntimeError` when nothing can resolve the target.
    public static func spiffe(
        target: any ResolvableTarget, serverName: String? = nil, source: X509Source,
        authorizing authorizer: PeerAuthorizer, config: HTTP2ClientTransport.Posix.Config = .defaults,
        serviceConfig: ServiceConfig = .init(), logger: Logger = Logger(label: "spiffe.grpc.client")
    ) throws -> Self {
        let tls = TLSCore(source: source, authorizing: authorizer, logger: logger, refusalLevel: .warning)
        var config = config
        let callersOwn = config.channelDebuggingCallbacks.onCreateTCPConnection
        // Where grpc-swift takes a TLS that is not its own. A handler for each connection has what the stock set-up lacks: it
        // fails without an identity, instead of connecting without one.
        config.channelDebuggingCallbacks.onCreateTCPConnection = { channel in
            channel.eventLoop.makeCompletedFuture {
                _ = try tls.secureClient(
                    channel.pipeline.syncOperations, at: .first, applicationProtocols: ["h2"], serverName: serverName)
            }
            .flatMap { callersOwn?(channel) ?? channel.eventLoop.makeSucceededVoidFuture() }
        }
        return try HTTP2ClientTransport.Posix(
            target: target, transportSecurity: .customSecure, config: config, serviceConfig: serviceConfig)
    }
}
