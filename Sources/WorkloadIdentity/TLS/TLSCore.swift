package import NIOCore
package import NIOSSL
package import SPIFFE
package import X509

/// The one way in which TLS is set up here, whatever it stands on.
package struct TLSCore: Sendable {
    package typealias Position = ChannelPipeline.SynchronousOperations.Position

    private let material: @Sendable () throws -> TLSMaterial
    private let verify: @Sendable ([Certificate]) throws(PeerRefusal) -> VerifiedX509SVID

    /// Creates the setup.
    ///
    /// - Parameters:
    ///   - material: What to present; asked for each connection, so rotation needs no restart.
    ///   - verify: Judges what a peer presents; called on the event loop.
    package init(
        material: @escaping @Sendable () throws -> TLSMaterial,
        verify: @escaping @Sendable ([Certificate]) throws(PeerRefusal) -> VerifiedX509SVID
    ) {
        (self.material, self.verify) = (material, verify)
    }

    /// Puts TLS in front of an accepted connection.
    package func secureServer(
        _ pipeline: ChannelPipeline.SynchronousOperations, at position: Position = .last,
        applicationProtocols: [String], clientCertificate: WorkloadTLS.ClientCertificate
    ) throws -> TLSPeer {
        let material = try material()
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: material.chain.map { .certificate($0) }, privateKey: .privateKey(material.key))
        configuration.certificateVerification =
            clientCertificate == .required ? .noHostnameVerification : .optionalVerification
        let peer = TLSPeer()
        let handler = NIOSSLServerHandler(
            context: try context(configuration, applicationProtocols),
            customVerificationCallback: callback(for: peer))
        try pipeline.addHandlers([handler, HandshakeWitness(peer)], position: position)
        return peer
    }

    /// Puts TLS in front of a connection to a server.
    package func secureClient(
        _ pipeline: ChannelPipeline.SynchronousOperations, at position: Position = .last,
        applicationProtocols: [String], serverName: String?
    ) throws -> TLSPeer {
        let material = try material()
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = material.chain.map { .certificate($0) }
        configuration.privateKey = .privateKey(material.key)
        // The name in the certificate is a SPIFFE ID; the callback checks it.
        configuration.certificateVerification = .noHostnameVerification
        let peer = TLSPeer()
        let handler = try NIOSSLClientHandler(
            context: try context(configuration, applicationProtocols), serverHostname: serverName,
            customVerificationCallback: callback(for: peer))
        try pipeline.addHandlers([handler, HandshakeWitness(peer)], position: position)
        return peer
    }

    /// A context of its own for each connection: a resumed session would skip the callback, and with it every change of
    /// trust since the ticket was written.
    ///
    /// Costs tens of microseconds.
    private func context(
        _ configuration: TLSConfiguration, _ applicationProtocols: [String]
    ) throws -> NIOSSLContext {
        var configuration = configuration
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = applicationProtocols
        // Never the system's authorities: the callback decides.
        configuration.trustRoots = .certificates([])
        return try NIOSSLContext(configuration: configuration)
    }

    private func callback(for peer: TLSPeer) -> NIOSSLCustomVerificationCallback {
        { [verify] presented, promise in
            do {
                peer.present(try verify(try PeerCertificates.parse(presented)))
                promise.succeed(.certificateVerified)
            } catch {
                promise.succeed(.failed)
            }
        }
    }
}

/// Certificates as TLS hands them over.
package enum PeerCertificates {
    /// Parses what a peer presented, leaf first; nothing about it has been checked.
    ///
    /// - Parameter presented: The peer's certificates, in its order.
    /// - Returns: The same certificates, parsed.
    /// - Throws: ``SPIFFEError`` when one is not a certificate.
    package static func parse(_ presented: [NIOSSLCertificate]) throws -> [Certificate] {
        try presented.map { try DERConcatenation.certificate(in: try $0.toDERBytes()[...]) }
    }
}
