internal import GRPCCore
package import NIOCore
internal import NIOSSL
package import SPIFFE
internal import Synchronization
package import X509

/// Who is at the other end of a TLS connection: nobody known until a client certificate has been verified.
package final class TLSPeer: Sendable {
    private let state = Mutex<VerifiedX509SVID?>(nil)

    /// The verified SVID; nil when the peer presented none.
    package var svid: VerifiedX509SVID? { state.withLock { $0 } }

    fileprivate func set(_ svid: VerifiedX509SVID) { state.withLock { $0 = svid } }
}

/// Puts TLS in front of accepted connections: everyone is asked for a certificate, nobody must have one, and one that
/// comes is verified as an X.509-SVID or the handshake fails.
package struct TLSAcceptor: Sendable {
    private let identity: @Sendable () throws -> TLSIdentity
    private let verify: @Sendable ([Certificate]) throws(SPIFFEError) -> VerifiedX509SVID

    /// Creates an acceptor.
    ///
    /// - Parameters:
    ///   - identity: What to present; asked for each connection, so rotation needs no restart.
    ///   - verify: Judges what a peer presents.
    package init(
        identity: @escaping @Sendable () throws -> TLSIdentity,
        verify: @escaping @Sendable ([Certificate]) throws(SPIFFEError) -> VerifiedX509SVID
    ) {
        (self.identity, self.verify) = (identity, verify)
    }

    /// Prepares one connection.
    package func accept(_ channel: any Channel) -> EventLoopFuture<TLSPeer> {
        channel.eventLoop.makeCompletedFuture {
            let identity = try identity()
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: try identity.certificates().map { .certificate($0) },
                privateKey: .privateKey(try identity.privateKey()))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["h2"]
            configuration.certificateVerification = .optionalVerification
            // Never the system's authorities: the callback decides.
            configuration.trustRoots = .certificates([])
            let peer = TLSPeer()
            // A context of its own for each connection: a resumed session would skip the callback, and with it every
            // change of trust since the ticket was written. Costs tens of microseconds.
            let context = try NIOSSLContext(configuration: configuration)
            let handler = NIOSSLServerHandler(context: context) { [verify] presented, promise in
                guard let svid = try? verify(PeerCertificates.parse(presented)) else { return promise.succeed(.failed) }
                peer.set(svid)
                promise.succeed(.certificateVerified(VerificationMetadata(nil)))
            }
            try channel.pipeline.syncOperations.addHandler(handler)
            return peer
        }
    }
}

/// Certificates as TLS hands them over.
enum PeerCertificates {
    static func parse(_ presented: [NIOSSLCertificate]) throws -> [Certificate] {
        try presented.map { try DERConcatenation.certificate(in: try $0.toDERBytes()[...]) }
    }
}
