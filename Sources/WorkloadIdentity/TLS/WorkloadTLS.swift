public import NIOCore
internal import SPIFFE

/// TLS in which both sides are known by their SPIFFE IDs, for anything built on SwiftNIO.
///
/// The certificate is the source's present one for each new connection, so rotation needs no restart. The peer's is judged
/// by the bundles held at that moment and by the authorizer; host names play no part, the system's authorities none either,
/// and no session is resumed past that judgement.
public struct WorkloadTLS: Sendable {
    /// Whether a server insists on a client certificate.
    public enum ClientCertificate: Hashable, Sendable {
        /// A client without one is refused.
        case required
        /// A client may come without one, and then has no identity; one that comes is verified.
        case optional
    }

    private let core: TLSCore

    /// Creates TLS for one source.
    ///
    /// - Parameters:
    ///   - source: What to present, and whom to judge peers by.
    ///   - authorizer: Which proven identities may go on.
    public init(source: X509Source, authorizing authorizer: PeerAuthorizer) {
        core = TLSCore {
            try source.material()
        } verify: { presented throws(PeerRefusal) in
            try source.verify(presented, authorizing: authorizer)
        }
    }

    /// Puts TLS in front of one accepted connection; call it on its event loop, before anything reads.
    ///
    /// - Parameters:
    ///   - pipeline: The connection's; TLS goes to its end, so what it protects is added afterwards.
    ///   - applicationProtocols: What to offer by ALPN, best first.
    ///   - clientCertificate: Whether a client must show one.
    /// - Returns: Who the peer turns out to be once the handshake is over.
    /// - Throws: ``WorkloadAPIError`` when the source has no identity to present; `NIOSSLError` when it cannot be loaded.
    public func secureServer(
        _ pipeline: ChannelPipeline.SynchronousOperations, applicationProtocols: [String] = [],
        clientCertificate: ClientCertificate = .required
    ) throws -> TLSPeer {
        try core.secureServer(
            pipeline, applicationProtocols: applicationProtocols, clientCertificate: clientCertificate)
    }

    /// Puts TLS in front of one connection to a server; call it on its event loop, before anything is sent.
    ///
    /// - Parameters:
    ///   - pipeline: The connection's; TLS goes to its end, so what it protects is added afterwards.
    ///   - applicationProtocols: What to offer by ALPN, best first.
    ///   - serverName: What to send as SNI, for a proxy on the way; it is not compared with anything.
    /// - Returns: Who the server turns out to be once the handshake is over.
    /// - Throws: ``WorkloadAPIError`` when the source has no identity to present; `NIOSSLError` when it cannot be loaded.
    public func secureClient(
        _ pipeline: ChannelPipeline.SynchronousOperations, applicationProtocols: [String] = [],
        serverName: String? = nil
    ) throws -> TLSPeer {
        try core.secureClient(pipeline, applicationProtocols: applicationProtocols, serverName: serverName)
    }
}
