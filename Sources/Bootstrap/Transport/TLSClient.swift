package import GRPCNIOTransportHTTP2Posix
internal import NIOCore
internal import NIOSSL
internal import Platform
package import SPIFFE
internal import WorkloadIdentity
package import X509

/// Client transports to an issuer: TLS whose server is known by its SPIFFE ID, never by its host name.
package enum TLSClient {
    /// Makes a transport for one identity; a renewed identity needs a new transport.
    ///
    /// - Parameters:
    ///   - address: Where the issuer listens.
    ///   - identity: What to present; nil for a node that has not joined yet.
    ///   - verify: Judges what the server presents; must check its SPIFFE ID.
    /// - Returns: A transport that connects once a client runs it.
    /// - Throws: The transport's error when the identity's chain or key cannot be loaded.
    package static func transport(
        to address: ServerAddress, identity: TLSIdentity?,
        verify: @escaping @Sendable ([Certificate]) throws(SPIFFEError) -> VerifiedX509SVID
    ) throws -> HTTP2ClientTransport.Posix {
        var configuration = HTTP2ClientTransport.Posix.Config.defaults
        configuration.connection.keepalive = .init(time: .seconds(30), timeout: .seconds(15), allowWithoutCalls: true)
        configuration.backoff.initial = .milliseconds(200)
        configuration.backoff.max = .seconds(10)
        return try HTTP2ClientTransport.Posix(
            target: address.target,
            transportSecurity: .tls { tls in
                tls.certificateChain = identity?.chain.map { .bytes($0, format: .der) } ?? []
                tls.privateKey = identity.map { .bytes($0.key.exposed, format: .der) }
                tls.trustRoots = .certificates([])
                // The name in the certificate is a SPIFFE ID; the callback below checks it.
                tls.serverCertificateVerification = .noHostnameVerification
                tls.customVerificationCallback = { presented, promise in
                    let verified = try? verify(PeerCertificates.parse(presented))
                    promise.succeed(verified == nil ? .failed : .certificateVerified(VerificationMetadata(nil)))
                }
            },
            config: configuration)
    }
}
