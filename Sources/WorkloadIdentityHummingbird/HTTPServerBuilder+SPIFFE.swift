#if Hummingbird
    public import HummingbirdCore
    public import NIOCore
    public import WorkloadIdentity

    extension HTTPServerBuilder {
        /// Serves HTTP/1.1 inside TLS in which both sides are known by their SPIFFE IDs.
        ///
        /// ```swift
        /// let app = Application(router: router, server: .spiffe(source: source, authorizing: .memberOf(domain)))
        /// ```
        ///
        /// - Parameters:
        ///   - source: What to present, and whom to judge clients by; followed, so rotation needs no restart.
        ///   - authorizer: Which proven identities may connect at all.
        ///   - clientCertificate: Whether a client must show a certificate.
        ///   - configuration: How to speak HTTP. By default a connection on which nothing happens for a minute is closed,
        ///     and so is one whose handshake takes that long; Hummingbird's own default is to wait forever.
        /// - Returns: A builder for `Application`.
        public static func spiffe(
            source: X509Source, authorizing authorizer: PeerAuthorizer,
            clientCertificate: WorkloadTLS.ClientCertificate = .required,
            configuration: HTTP1Channel.Configuration = .init(idleTimeout: .seconds(60))
        ) -> HTTPServerBuilder {
            let tls = WorkloadTLS(source: source, authorizing: authorizer)
            return HTTPServerBuilder { responder in
                WorkloadTLSChannel(
                    HTTP1Channel(responder: responder, configuration: configuration), tls: tls,
                    clientCertificate: clientCertificate)
            }
        }
    }
#endif
