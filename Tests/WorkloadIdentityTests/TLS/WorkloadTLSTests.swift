import NIOCore
import Foundation
import NIOSSL
import NIOEmbedded
import SPIFFE
import TestSupport
import Testing
import WorkloadAPIProtos
import WorkloadIdentity
import X509

@Suite("TLS between workloads", .timeLimit(.minutes(1)))
struct WorkloadTLSTests {
    private static let ca = Result { try TestCA() }
    private static let other = Result { try TestCA("other.example") }

    private func source(
        _ ca: TestCA, _ path: String, trusting bundles: [X509Bundle]? = nil,
        _ change: (inout CertificateRecipe) -> Void = { _ in }
    ) throws -> X509Source {
        let leaf = try ca.leaf("spiffe://\(ca.trustDomain)\(path)", change)
        let svid = try X509SVID(chain: Data(try leaf.certificate.derBytes()), privateKey: leaf.pkcs8)
        return X509Source(try X509Update(svids: [svid], bundles: bundles ?? [ca.bundle])) { CertificateRecipe.now }
    }

    private func server(_ authorizer: PeerAuthorizer = .any) throws -> WorkloadTLS {
        WorkloadTLS(source: try source(Self.ca.get(), "/server"), authorizing: authorizer)
    }

    private func client(_ authorizer: PeerAuthorizer = .any) throws -> WorkloadTLS {
        WorkloadTLS(source: try source(Self.ca.get(), "/client"), authorizing: authorizer)
    }

    @Test("both sides learn who the other is", arguments: [WorkloadTLS.ClientCertificate.required, .optional])
    func good(_ rule: WorkloadTLS.ClientCertificate) async throws {
        let client = try client(.id(try .example("/server")))
        try await Loopback.run(try server(.id(try .example("/client"))), clientCertificate: rule) {
            (loopback: Loopback) async throws in
            let handshake = try await loopback.connect(client)
            #expect(handshake.greeting == "spiffe://example.org/client")
            #expect(handshake.server?.id.path == "/server")
        }
    }

    @Test("a client that is not the one expected is cut off")
    func wrongClient() async throws {
        let client = try client()
        try await Loopback.run(try server(.id(try .example("/someone-else")))) { (loopback: Loopback) async throws in
            #expect(try await loopback.connect(client).greeting == nil)
        }
    }

    @Test("a server that is not the one expected is left")
    func wrongServer() async throws {
        let client = try client(.id(try .example("/someone-else")))
        try await Loopback.run(try server()) { (loopback: Loopback) async throws in
            let handshake = try await loopback.connect(client)
            #expect(handshake.greeting == nil && handshake.server == nil)
        }
    }

    @Test("WLAPI-37: members of a domain are known by its bundle, and not at all without it")
    func otherDomain() async throws {
        let (ca, other) = (try Self.ca.get(), try Self.other.get())
        let both = [ca.bundle, other.bundle]
        let stranger = WorkloadTLS(source: try source(other, "/x", trusting: both), authorizing: .any)
        try await Loopback.run(try server()) { (loopback: Loopback) async throws in
            #expect(try await loopback.connect(stranger).greeting == nil)
        }
        let federated = WorkloadTLS(source: try source(ca, "/server", trusting: both), authorizing: .any)
        try await Loopback.run(federated) { (loopback: Loopback) async throws in
            #expect(try await loopback.connect(stranger).greeting == "spiffe://other.example/x")
        }
    }

    @Test(
        "a client without a certificate is refused where one is required, and nobody where it is not",
        arguments: [(WorkloadTLS.ClientCertificate.required, nil), (.optional, "nobody")]
            as [(WorkloadTLS.ClientCertificate, String?)])
    func noCertificate(_ rule: WorkloadTLS.ClientCertificate, _ greeting: String?) async throws {
        try await Loopback.run(try server(), clientCertificate: rule) { (loopback: Loopback) async throws in
            #expect(try await loopback.connect(.makeClientConfiguration()).greeting == greeting)
        }
    }

    @Test(
        "a client with an expired certificate is refused, also where none is required",
        arguments: [WorkloadTLS.ClientCertificate.required, .optional])
    func expired(_ rule: WorkloadTLS.ClientCertificate) async throws {
        let stale = try Self.ca.get().leaf("spiffe://example.org/client") {
            $0.validity = CertificateRecipe.now - 3600..<CertificateRecipe.now - 1
        }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = [
            .certificate(try NIOSSLCertificate(bytes: try stale.certificate.derBytes(), format: .der))
        ]
        configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(stale.pkcs8), format: .der))
        let hopeless = configuration
        try await Loopback.run(try server(), clientCertificate: rule) { (loopback: Loopback) async throws in
            #expect(try await loopback.connect(hopeless).greeting == nil)
        }
    }

    @Test(
        "TLS 1.1 is refused, 1.2 and 1.3 are not",
        arguments: [
            (TLSVersion.tlsv11, false), (.tlsv12, true), (.tlsv13, true),
        ])
    func versions(_ version: TLSVersion, _ isAccepted: Bool) async throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = version == .tlsv11 ? .tlsv1 : version
        configuration.maximumTLSVersion = version
        let fixed = configuration
        try await Loopback.run(try server(), clientCertificate: .optional) { (loopback: Loopback) async throws in
            #expect(try await loopback.connect(fixed).greeting == (isAccepted ? "nobody" : nil))
        }
    }

    @Test("after a rotation new connections present the new certificate and are judged by the new bundles")
    func rotation() async throws {
        let (old, new) = (try TestCA.current(), try TestCA.current(commonName: "next"))
        try await FakeAgent.run { agent, options in
            let goOn = Signal()
            let (before, after) = (try old.wire("/before"), try new.wire("/after"))
            agent.play(
                .x509SVID,
                [
                    .send(try WorkloadX509SVIDResponse(before).bytes), .wait(goOn),
                    .send(try WorkloadX509SVIDResponse(after).bytes), .hang,
                ])
            let source = try await X509Source.start(options: options)
            func peer(_ ca: TestCA) throws -> WorkloadTLS {
                let leaf = try ca.currentLeaf("/client")
                let svid = try X509SVID(chain: Data(try leaf.certificate.derBytes()), privateKey: leaf.pkcs8)
                return WorkloadTLS(
                    source: X509Source(try X509Update(svids: [svid], bundles: [ca.bundle])), authorizing: .any)
            }
            let (oldPeer, newPeer) = (try peer(old), try peer(new))
            var updates = source.updates.makeAsyncIterator()
            _ = await updates.next()
            try await Loopback.run(WorkloadTLS(source: source, authorizing: .any)) {
                (loopback: Loopback) async throws in
                let first = try await loopback.connect(oldPeer)
                #expect(first.server?.id.path == "/before")
                #expect(try await loopback.connect(newPeer).greeting == nil)
                goOn.fire()
                _ = await updates.next()
                #expect(try await loopback.connect(newPeer).server?.id.path == "/after")
                #expect(try await loopback.connect(oldPeer).greeting == nil)
            }
            await source.close()
        }
    }

    @Test("a source without an identity makes no handler")
    func withdrawn() async throws {
        let holder = try source(Self.ca.get(), "/w")
        let tls = WorkloadTLS(source: holder, authorizing: .any)
        await holder.close()
        let pipeline = EmbeddedChannel().pipeline.syncOperations
        #expect(throws: WorkloadAPIError.self) { try tls.secureServer(pipeline) }
        #expect(throws: WorkloadAPIError.self) { try tls.secureClient(pipeline) }
    }

    @Test("a certificate names nobody before the handshake shows that its key is there")
    func presentedOnly() throws {
        let ca = try Self.ca.get()
        let leaf = try ca.leaf("spiffe://example.org/victim")
        let victim = try X509SVIDVerification.verify([leaf.certificate], at: CertificateRecipe.now) { _ in
            ca.bundle
        }
        let peer = TLSPeer()
        peer.prove()
        #expect(peer.svid == nil)
        peer.present(victim)
        #expect(peer.svid == nil)
        peer.prove()
        #expect(peer.svid == victim)
    }
}
