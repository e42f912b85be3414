#if AsyncHTTPClient
    public import AsyncHTTPClient
    internal import NIOHTTP1
    internal import NIOSSL
    public import NIOCore
    public import WorkloadIdentity

    /// An HTTP client that calls as a workload: by certificate, by token or by both.
    ///
    /// ```swift
    /// let client = WorkloadHTTPClient(source: source, authorizing: .id(orders))
    /// let response = try await client.execute(HTTPClientRequest(url: "https://orders.internal/list"))
    /// try await client.shutdown()
    /// ```
    ///
    /// One client is for one service, or for several that are known by the same rule. Connections are kept and used again;
    /// each new one presents the certificate of its own moment, and its server is judged by the bundles of that moment.
    public struct WorkloadHTTPClient: Sendable {
        private let client: HTTPClient
        private let tokens: BearerTokens?
        private let hasWorkloadTLS: Bool
        private let configuration: HTTPClient.Configuration

        /// Creates a client whose servers are known by their SPIFFE IDs.
        ///
        /// Requests go to `https` URLs, over HTTP/1.1. Host names play no part in who the server is.
        ///
        /// - Parameters:
        ///   - source: What to present, and whom to judge servers by.
        ///   - authorizer: Which servers to talk to.
        ///   - serverName: What to send as SNI, for a proxy on the way; it is not compared with anything.
        ///   - tokens: What to show with each request, for a service behind a proxy that ends TLS; nil for the certificate
        ///     alone.
        ///   - eventLoopGroup: Where connections live.
        ///   - configuration: How connections are made and kept. Its TLS settings are not used, and redirects are not followed.
        public init(
            source: X509Source, authorizing authorizer: PeerAuthorizer, serverName: String? = nil,
            tokens: BearerTokens? = nil, eventLoopGroup: any EventLoopGroup = HTTPClient.defaultEventLoopGroup,
            configuration: HTTPClient.Configuration = .init()
        ) {
            var configuration = configuration
            let timeout = configuration.timeout.connect ?? .seconds(10)
            let then = configuration.http1_1ConnectionDebugInitializer
            // The one place where AsyncHTTPClient lets others at a connection before it is used. Its name says debugging; its
            // tests say that no request is sent until the future succeeds, and so do ours.
            configuration.http1_1ConnectionDebugInitializer = { channel in
                let secured = HandshakeGate.secure(
                    channel, source: source, authorizing: authorizer, serverName: serverName, timeout: timeout)
                guard let then else { return secured }
                return secured.flatMap { then(channel) }
            }
            configuration.httpVersion = .http1Only
            self.init(
                tokens: tokens, hasWorkloadTLS: true, eventLoopGroup: eventLoopGroup, configuration: configuration)
        }

        /// Creates a client that shows tokens to servers known in the ordinary way, by host name and public authorities.
        ///
        /// Requests go to `https` URLs, to a Unix socket, or to this machine by address.
        ///
        /// - Parameters:
        ///   - tokens: What to show with each request.
        ///   - eventLoopGroup: Where connections live.
        ///   - configuration: How connections are made and kept. Redirects are not followed.
        public init(
            tokens: BearerTokens, eventLoopGroup: any EventLoopGroup = HTTPClient.defaultEventLoopGroup,
            configuration: HTTPClient.Configuration = .init()
        ) {
            self.init(
                tokens: tokens, hasWorkloadTLS: false, eventLoopGroup: eventLoopGroup, configuration: configuration)
        }

        private init(
            tokens: BearerTokens?, hasWorkloadTLS: Bool, eventLoopGroup: any EventLoopGroup,
            configuration: HTTPClient.Configuration
        ) {
            var configuration = configuration
            // Where a redirect leads was not asked for: it could be plain HTTP, or another service.
            configuration.redirectConfiguration = .disallow
            // A server that was refused is refused again; the caller should hear it now and not when its time is up.
            configuration.connectionPool.retryConnectionEstablishment = false
            self.configuration = configuration
            self.tokens = tokens
            self.hasWorkloadTLS = hasWorkloadTLS
            client = HTTPClient(eventLoopGroup: eventLoopGroup, configuration: configuration)
        }

        /// Sends a request, with a fresh token when the client has tokens; an `Authorization` header of its own is replaced.
        ///
        /// A redirect is returned, not followed.
        ///
        /// - Parameters:
        ///   - request: The request, without TLS settings.
        ///   - timeout: How long it may take until the response's headers are there.
        /// - Returns: The response; its body is still to be read.
        /// - Throws: ``RequestRefusal`` when the request is not safe to send; `PeerRefusal` when the server is not the right
        ///   one; `WorkloadAPIError` when there is no identity to show; what AsyncHTTPClient throws.
        public func execute(
            _ request: HTTPClientRequest, timeout: Duration = .seconds(30)
        ) async throws -> HTTPClientResponse {
            let target = try RequestTarget(request.url)
            var request = request
            if hasWorkloadTLS {
                guard request.tlsConfiguration == nil else {
                    throw RequestRefusal(.foreignTLS, "the request brings TLS settings of its own")
                }
                let inner = try target.withTLSUnderneath()
                request.url = inner.url
                if let host = inner.host, !request.headers.contains(name: "Host") {
                    request.headers.add(name: "Host", value: host)
                }
            } else {
                try checkConfidential(target, request.tlsConfiguration ?? configuration.tlsConfiguration)
            }
            if let tokens {
                request.headers.replaceOrAdd(name: "Authorization", value: "Bearer \(try await tokens.fetch())")
            }
            return try await client.execute(request, timeout: TimeAmount(timeout))
        }

        /// Closes all connections; to be called once, when the last response was read.
        ///
        /// - Throws: What AsyncHTTPClient throws, such as when it was shut down before.
        public func shutdown() async throws { try await client.shutdown() }

        private func checkConfidential(_ target: RequestTarget, _ tls: TLSConfiguration?) throws(RequestRefusal) {
            guard target.isConfidential else {
                throw RequestRefusal(
                    .notConfidential, "a token is sent over https, to a Unix socket or to a loopback address only")
            }
            if target.isPlainTCP, configuration.proxy != nil || !configuration.dnsOverride.isEmpty {
                throw RequestRefusal(.notConfidential, "a proxy or a DNS override could lead plain HTTP elsewhere")
            }
            if let tls, tls.certificateVerification != .fullVerification {
                throw RequestRefusal(.notConfidential, "the TLS settings do not make sure who the server is")
            }
        }
    }
#endif
