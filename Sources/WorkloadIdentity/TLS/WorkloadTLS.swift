internal import NIOCore
public import NIOSSL
internal import SPIFFE
internal import X509

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

    /// Makes the handlers for one accepted connection; put them first in its pipeline.
    ///
    /// - Parameters:
    ///   - applicationProtocols: What to offer by ALPN, best first.
    ///   - clientCertificate: Whether a client must show one.
    /// - Returns: The TLS handler, and who the peer turns out to be once the handshake is over.
    /// - Throws: ``WorkloadAPIError`` when the source has no identity to present; `NIOSSLError` when it cannot be loaded.
    public func makeServerHandler(
        applicationProtocols: [String] = [], clientCertificate: ClientCertificate = .required
    ) throws -> (handler: NIOSSLServerHandler, peer: TLSPeer) {
        try core.serverHandler(applicationProtocols: applicationProtocols, clientCertificate: clientCertificate)
    }

    /// Makes the handler for one connection to a server; put it first in its pipeline.
    ///
    /// - Parameters:
    ///   - applicationProtocols: What to offer by ALPN, best first.
    ///   - serverName: What to send as SNI, for a proxy on the way; it is not compared with anything.
    /// - Returns: The TLS handler, and who the server turns out to be once the handshake is over.
    /// - Throws: ``WorkloadAPIError`` when the source has no identity to present; `NIOSSLError` when it cannot be loaded.
    public func makeClientHandler(
        applicationProtocols: [String] = [], serverName: String? = nil
    ) throws -> (handler: NIOSSLClientHandler, peer: TLSPeer) {
        try core.clientHandler(applicationProtocols: applicationProtocols, serverName: serverName)
    }
}
