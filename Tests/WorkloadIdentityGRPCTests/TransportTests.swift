import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import NIOCore
import SPIFFE
import Synchronization
import TestSupport
import Testing
import WorkloadIdentity
import WorkloadIdentityGRPC
import X509

/// One side of a connection that the other must refuse.
struct WrongPeer: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Makes the wrong side's source, for a realm that the other side trusts.
    let source: @Sendable (Realm) throws -> X509Source

    static let all = [
        WrongPeer(testDescription: "X509-30 of a trust domain whose bundle is not held") { realm in
            try Realm("other.example").source("/right", trusting: [realm])
        },
        WrongPeer(testDescription: "X509-29 of an authority that only claims the trust domain") { realm in
            try Realm().source("/right", trusting: [realm])
        },
        WrongPeer(testDescription: "with another ID") { try $0.source("/wrong") },
        WrongPeer(testDescription: "with an ID that has more segments") { try $0.source("/right/more") },
        WrongPeer(testDescription: "expired") { realm in
            // Its own clock is slow, so it presents what it should not.
            try realm.source("/right", at: CertificateRecipe.now - 1700) {
                $0.validity = CertificateRecipe.now - 7200..<CertificateRecipe.now - 60
            }
        },
        WrongPeer(testDescription: "not valid yet") { realm in
            try realm.source("/right") { $0.validity = CertificateRecipe.now + 600..<CertificateRecipe.now + 1200 }
        },
    ]
}

@Suite("gRPC between workloads")
struct TransportTests {
    private let realm: Realm
    private let server: X509Source
    private let right: X509Source
    private let logs = LogCollector()

    init() throws {
        realm = try Realm()
        server = try realm.source("/server")
        right = try realm.source("/right")
    }

    /// A server that lets in `/right` alone, unless told otherwise.
    private func serving(
        as source: X509Source? = nil, authorizing authorizer: PeerAuthorizer? = nil,
        clientCertificate: WorkloadTLS.ClientCertificate = .required, limits: ServerLimits = .init()
    ) throws -> SPIFFEServerTransport {
        SPIFFEServerTransport(
            host: "127.0.0.1", port: 0, source: source ?? server,
            authorizing: try authorizer ?? .id(realm.id("/right")), clientCertificate: clientCertificate,
            limits: limits, logger: logs.logger())
    }

    /// What a client hears that has no SPIFFE TLS at all.
    private func refusal(
        of security: HTTP2ClientTransport.Posix.TransportSecurity, by server: MirrorServer
    ) async throws -> RPCError? {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: server.port), transportSecurity: security)
        return await #expect(throws: RPCError.self) { try await server.ask(through: transport) }
    }

    @Test("each side knows the other, by address and by name", arguments: ["127.0.0.1", "localhost"])
    func bothKnown(host: String) async throws {
        try await MirrorServer.run(try serving()) { [realm, right] server in
            let transport = try HTTP2ClientTransport.Posix.spiffe(
                host: host, port: server.port, source: right, authorizing: .id(try realm.id("/server")))
            let answer = try await server.ask(through: transport)
            #expect(answer.hasPrefix("spiffe://example.org/right "))
        }
    }

    @Test("a peer of a federated trust domain is let in when its bundle is held")
    func federated() async throws {
        let other = try Realm("other.example")
        let source = try realm.source("/server", trusting: [other])
        try await MirrorServer.run(try serving(as: source, authorizing: .memberOf(other.ca.trustDomain))) {
            [realm] server in
            let client = try server.transport(try other.source(trusting: [realm]))
            #expect(try await server.ask(through: client).hasPrefix("spiffe://other.example/w "))
        }
    }

    @Test("chains with intermediates are accepted, both ways")
    func intermediates() async throws {
        let middle = try realm.ca.intermediate()
        let chain = [middle, try middle.intermediate("lower")]
        let now = CertificateRecipe.now
        let server = X509Source(try realm.update("/server", signedBelow: chain), now: { now })
        let client = X509Source(try realm.update("/right", signedBelow: chain), now: { now })
        try await MirrorServer.run(try serving(as: server)) { server in
            let answer = try await server.ask(through: try server.transport(client))
            #expect(answer.hasPrefix("spiffe://example.org/right "))
        }
    }

    @Test("a server refuses a client that is not the right one", arguments: WrongPeer.all)
    func wrongClient(_ wrong: WrongPeer) async throws {
        try await MirrorServer.run(try serving()) { [realm, right] server in
            let error = await #expect(throws: RPCError.self) {
                try await server.ask(through: try server.transport(try wrong.source(realm)))
            }
            #expect(error?.code == .unavailable)
            // The server itself is well.
            _ = try await server.ask(through: try server.transport(right))
        }
        #expect(logs.messages(from: .info).contains("peer refused"))
    }

    @Test("a client refuses a server that is not the right one, and says nothing to it", arguments: WrongPeer.all)
    func wrongServer(_ wrong: WrongPeer) async throws {
        let clients = LogCollector()
        try await MirrorServer.run(try serving(as: try wrong.source(realm), authorizing: .any)) {
            [realm, right] server in
            let transport = try HTTP2ClientTransport.Posix.spiffe(
                host: "127.0.0.1", port: server.port, source: right, authorizing: .id(try realm.id("/right")),
                logger: clients.logger())
            let error = await #expect(throws: RPCError.self) { try await server.ask(through: transport) }
            #expect(error?.code == .unavailable)
        }
        #expect(clients.messages(from: .warning).contains("peer refused"))
    }

    @Test("a server refuses a client without a certificate, and one without TLS")
    func nothingShown() async throws {
        try await MirrorServer.run(try serving()) { server in
            let anonymous = try await refusal(
                of: .tls { $0.serverCertificateVerification = .noVerification }, by: server)
            #expect(anonymous?.code == .unavailable)
            #expect(try await refusal(of: .plaintext, by: server)?.code == .unavailable)
        }
    }

    @Test("where a certificate is optional, none is nobody, and a bad one is still refused")
    func optional() async throws {
        try await MirrorServer.run(try serving(clientCertificate: .optional)) { [realm] server in
            let anonymous = try HTTP2ClientTransport.Posix(
                target: .ipv4(address: "127.0.0.1", port: server.port),
                transportSecurity: .tls { $0.serverCertificateVerification = .noVerification })
            #expect(try await server.ask(through: anonymous) == "nobody")
            await #expect(throws: RPCError.self) {
                try await server.ask(through: try server.transport(try realm.source("/wrong")))
            }
        }
    }

    @Test("a client refuses a server without TLS")
    func plainServer() async throws {
        let plain = HTTP2ServerTransport.Posix(
            address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext)
        try await withGRPCServer(transport: plain, services: [Mirror()]) { [right] _ in
            let port = try #require(try await plain.listeningAddress.ipv4?.port)
            await #expect(throws: RPCError.self) {
                try await MirrorServer(port: port).ask(through: try MirrorServer(port: port).transport(right))
            }
        }
    }

    @Test("new connections present the new certificate, open ones keep theirs; on both sides")
    func rotation() async throws {
        let seen = Mutex<[Certificate.SerialNumber]>([])
        let authorizer = PeerAuthorizer.custom("whoever is looked at") { peer in
            if case .x509(let svid) = peer.proof { seen.withLock { $0.append(svid.leaf.serialNumber) } }
            return true
        }
        try await MirrorServer.run(try serving()) { [realm, server, right] mirror in
            let transport = try mirror.transport(right, authorizing: authorizer)
            let (firstServer, firstClient) = (server.serial, right.serial)
            try await withGRPCClient(transport: transport) { open in
                #expect(try await open.ask() == "spiffe://example.org/right \(try #require(firstClient))")
                server.replace(with: .success(try realm.update("/server")))
                right.replace(with: .success(try realm.update("/right")))
                #expect(server.serial != firstServer)
                #expect(try await open.ask() == "spiffe://example.org/right \(try #require(firstClient))")
                let answer = try await mirror.ask(through: try mirror.transport(right, authorizing: authorizer))
                #expect(answer == "spiffe://example.org/right \(try #require(right.serial))")
            }
            #expect(seen.withLock { $0 } == [firstServer, server.serial].compactMap { $0 })
        }
    }

    @Test("WLAPI-40 a side whose identity was taken back opens no connection, and accepts none")
    func withdrawn() async throws {
        let taken = Result<X509Update, WorkloadAPIError>.failure(WorkloadAPIError(.noIdentity, "taken back"))
        // Even where no certificate is asked for, the client does not come without one.
        try await MirrorServer.run(try serving(clientCertificate: .optional)) { [realm, server, right] mirror in
            let lost = try realm.source("/right")
            lost.replace(with: taken)
            await #expect(throws: RPCError.self) { try await mirror.ask(through: try mirror.transport(lost)) }
            server.replace(with: taken)
            await #expect(throws: RPCError.self) { try await mirror.ask(through: try mirror.transport(right)) }
            server.replace(with: .success(try realm.update("/server")))
            _ = try await mirror.ask(through: try mirror.transport(right))
        }
    }

    @Test("WLAPI-35 a bundle that is gone is not trusted for the next connection")
    func bundleGone() async throws {
        let other = try Realm("other.example")
        let source = try realm.source("/server", trusting: [other])
        try await MirrorServer.run(try serving(as: source, authorizing: .any)) { [realm] mirror in
            let client = try other.source(trusting: [realm])
            _ = try await mirror.ask(through: try mirror.transport(client))
            source.replace(with: .success(try realm.update("/server")))
            await #expect(throws: RPCError.self) { try await mirror.ask(through: try mirror.transport(client)) }
        }
    }

    @Test("a connection that is old enough makes place for a new one, which is judged anew", .timeLimit(.minutes(1)))
    func age() async throws {
        let handshakes = Mutex(0)
        var limits = ServerLimits()
        limits.connectionAge = .milliseconds(20)
        let authorizer = PeerAuthorizer.custom("whoever is counted") { _ in
            handshakes.withLock { $0 += 1 }
            return true
        }
        try await MirrorServer.run(try serving(authorizing: authorizer, limits: limits)) { [right] mirror in
            try await withGRPCClient(transport: try mirror.transport(right)) { client in
                // A call at the very end of a connection may fail.
                while handshakes.withLock({ $0 }) < 3 { _ = try? await client.ask() }
            }
        }
    }

    @Test("stopping in the middle of new connections loses none in a state that traps", arguments: [false, true])
    func stopping(isCancelled: Bool) async throws {
        for round in 0..<20 {
            let transport = try serving(authorizing: .any)
            try await withThrowingTaskGroup(of: Void.self) { group in
                let server = GRPCServer(transport: transport, services: [Mirror()])
                let serving = Task { try await server.serve() }
                let port = try #require(try await transport.listeningAddress.ipv4?.port)
                for _ in 0..<4 {
                    group.addTask { [right] in
                        // Whatever becomes of them.
                        let mirror = MirrorServer(port: port)
                        _ = try? await mirror.ask(through: try mirror.transport(right))
                    }
                }
                for _ in 0..<round * 10 { await Task.yield() }
                if isCancelled { serving.cancel() } else { server.beginGracefulShutdown() }
                _ = await serving.result
                try await group.waitForAll()
            }
        }
    }

    @Test("callers' own connection callback still runs")
    func callback() async throws {
        let connections = Mutex(0)
        var config = HTTP2ClientTransport.Posix.Config.defaults
        config.channelDebuggingCallbacks.onCreateTCPConnection = { channel in
            connections.withLock { $0 += 1 }
            return channel.eventLoop.makeSucceededVoidFuture()
        }
        try await MirrorServer.run(try serving()) { [right, config] mirror in
            let transport = try HTTP2ClientTransport.Posix.spiffe(
                host: "127.0.0.1", port: mirror.port, source: right, authorizing: .any, config: config)
            _ = try await mirror.ask(through: transport)
        }
        #expect(connections.withLock { $0 } == 1)
    }

    @Test("a port that is taken is an error, for the server and for who asks where it listens")
    func taken() async throws {
        try await MirrorServer.run(try serving()) { [server] mirror in
            let second = SPIFFEServerTransport(
                host: "127.0.0.1", port: mirror.port, source: server, authorizing: .any)
            await #expect(throws: (any Error).self) { try await GRPCServer(transport: second, services: []).serve() }
            await #expect(throws: RuntimeError.self) { try await second.listeningAddress }
        }
    }
}
