import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import SPIFFE
import TestSupport
import Testing
import WorkloadIdentity
import WorkloadIdentityGRPC

/// A call's `authorization`, and what becomes of it where a certificate would do as well.
struct Authorization: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let values: @Sendable (TokenMint) throws -> [String]

    init(_ description: String, _ values: @escaping @Sendable (TokenMint) throws -> [String]) {
        (testDescription, self.values) = (description, values)
    }

    static let good = [
        Authorization("JWT-24 Bearer") { ["Bearer \(try $0.token())"] },
        Authorization("RFC 9110 §11.1 bearer") { ["bearer \(try $0.token())"] },
        Authorization("RFC 9110 §11.1 BEARER") { ["BEARER \(try $0.token())"] },
    ]

    static let bad = [
        Authorization("for another audience") { ["Bearer \(try $0.token(audience: "other"))"] },
        Authorization("expired") { ["Bearer \(try $0.token(lifetime: -120))"] },
        Authorization("signed by somebody else") { _ in ["Bearer \(try TokenMint().token())"] },
        Authorization("for a trust domain whose bundle is not held") {
            ["Bearer \(try $0.token(id: "spiffe://other.example/w"))"]
        },
        Authorization("no token") { _ in ["Bearer"] },
        Authorization("an empty token") { _ in ["Bearer "] },
        Authorization("not a token") { _ in ["Bearer x"] },
        Authorization("a token and more") { ["Bearer \(try $0.token()) \(try $0.token())"] },
        Authorization("two in one value") { ["Bearer \(try $0.token()), Bearer \(try $0.token())"] },
        Authorization("two good ones") { ["Bearer \(try $0.token())", "Bearer \(try $0.token())"] },
        Authorization("a good one after another scheme") { ["Basic eDp5", "Bearer \(try $0.token())"] },
    ]

    func metadata(_ mint: TokenMint) throws -> Metadata {
        var metadata = Metadata()
        for value in try values(mint) { metadata.addString(value, forKey: "authorization") }
        return metadata
    }
}

@Suite("Who makes a call")
struct InterceptorTests {
    private let realm: Realm
    private let client: X509Source
    private let mint = TokenMint()
    private let logs = LogCollector()

    init() throws {
        realm = try Realm()
        client = try realm.source("/certificate")
    }

    /// Serves with an interceptor; everyone may connect, with or without a certificate.
    private func run(
        _ proof: CallerProof, authorizing authorizer: PeerAuthorizer = .any,
        _ body: @Sendable (MirrorServer) async throws -> Void
    ) async throws {
        let transport = SPIFFEServerTransport(
            host: "127.0.0.1", port: 0, source: try realm.source("/server"), authorizing: .any,
            clientCertificate: .optional, logger: logs.logger())
        let interceptor = PeerIdentityInterceptor(proof, authorizing: authorizer, logger: logs.logger())
        try await MirrorServer.run(transport, interceptors: [interceptor], body)
    }

    private func proof(orCertificate acceptsCertificate: Bool) throws -> CallerProof {
        let bundle = try mint.bundle()
        return CallerProof(acceptsCertificate: acceptsCertificate) { token throws(PeerRefusal) in
            do throws(SPIFFEError) {
                return try JWTSVID.verify(token, audience: "mirror", at: mint.now) {
                    $0 == bundle.trustDomain ? bundle : nil
                }
            } catch { throw PeerRefusal(error) }
        }
    }

    private func anonymous(_ server: MirrorServer) throws -> HTTP2ClientTransport.Posix {
        try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: server.port),
            transportSecurity: .tls { $0.serverCertificateVerification = .noVerification })
    }

    /// How a call ends that must not reach its handler.
    private func refusal(
        _ server: MirrorServer, through transport: HTTP2ClientTransport.Posix, metadata: Metadata = [:]
    ) async -> RPCError? {
        await #expect(throws: RPCError.self) {
            try await server.ask(Mirror.current, through: transport, metadata: metadata)
        }
    }

    @Test("the certificate of the connection says it; an authorization is not looked at")
    func certificate() async throws {
        try await run(.certificate) { [client] server in
            for metadata: Metadata in [[:], ["authorization": "Basic eDp5"]] {
                let answer = try await server.ask(
                    Mirror.current, through: try server.transport(client), metadata: metadata)
                #expect(answer == "spiffe://example.org/certificate")
            }
            let error = try await refusal(server, through: anonymous(server))
            #expect(error?.code == .unauthenticated)
        }
    }

    @Test("a good token says it, with and without a certificate beside it", arguments: Authorization.good)
    func token(_ authorization: Authorization) async throws {
        for acceptsCertificate in [false, true] {
            try await run(try proof(orCertificate: acceptsCertificate)) { [client, mint] server in
                for transport in [try server.transport(client), try anonymous(server)] {
                    let answer = try await server.ask(
                        Mirror.current, through: transport, metadata: try authorization.metadata(mint))
                    #expect(answer == "spiffe://example.org/token")
                }
            }
        }
    }

    @Test("a bad authorization is refused, however good the certificate", arguments: Authorization.bad)
    func badToken(_ authorization: Authorization) async throws {
        let metadata = try authorization.metadata(mint)
        try await run(try proof(orCertificate: true)) { [client] server in
            let error = await refusal(server, through: try server.transport(client), metadata: metadata)
            #expect(error?.code == .unauthenticated)
            #expect(error?.message == "the caller has not proven who it is")
        }
        // The reason is told, to this side alone; the token is not.
        let record = try #require(logs.records.first { $0.message == "call refused" })
        #expect(record.metadata["error"].map { !"\($0)".isEmpty } == true)
        for case .string(let value) in metadata["authorization"] where value.count > 20 {
            #expect(!"\(logs.records)".contains(value.suffix(20)))
        }
    }

    @Test("without a token the certificate says it, where it may")
    func noToken() async throws {
        try await run(try proof(orCertificate: true)) { [client] server in
            // Credentials of another scheme are not shown to us.
            for metadata: Metadata in [[:], ["authorization": "Basic eDp5"], ["authorization": ""]] {
                let answer = try await server.ask(
                    Mirror.current, through: try server.transport(client), metadata: metadata)
                #expect(answer == "spiffe://example.org/certificate")
            }
            let error = try await refusal(server, through: anonymous(server))
            #expect(error?.code == .unauthenticated)
        }
        try await run(try proof(orCertificate: false)) { [client] server in
            let error = try await refusal(server, through: server.transport(client))
            #expect(error?.code == .unauthenticated)
        }
    }

    @Test("who is proven and may not go on is told that much and no more")
    func notAuthorized() async throws {
        try await run(.certificate, authorizing: .id(try realm.id("/somebody"))) { [client] server in
            let error = await refusal(server, through: try server.transport(client))
            #expect(error?.code == .permissionDenied)
            #expect(error?.message == "the caller may not do this")
        }
    }

    @Test("when this side cannot judge, the caller is not to blame")
    func unavailable() async throws {
        let proof = CallerProof(acceptsCertificate: true) { _ throws(PeerRefusal) in
            throw PeerRefusal(.unavailable, "no JWT bundles are held")
        }
        let metadata: Metadata = ["authorization": "Bearer \(try mint.token())"]
        try await run(proof) { [client] server in
            let error = await refusal(server, through: try server.transport(client), metadata: metadata)
            #expect(error?.code == .unavailable)
        }
    }

    @Test("a streaming handler knows it before, while and after it reads and writes")
    func streaming() async throws {
        try await run(.certificate) { [client] server in
            let heard = try await withGRPCClient(transport: try server.transport(client)) { client in
                try await client.bidirectionalStreaming(
                    request: StreamingClientRequest { writer in
                        try await writer.write("one")
                        try await writer.write("two")
                    },
                    descriptor: Mirror.stream, serializer: TextCodec(), deserializer: TextCodec(), options: .defaults
                ) { response in
                    var heard: [String] = []
                    for try await message in response.messages { heard.append(message) }
                    return heard
                }
            }
            let caller = "spiffe://example.org/certificate"
            #expect(heard == [caller, "one \(caller)", "two \(caller)", caller])
        }
    }

    @Test("without the interceptor nobody is known, and a handler that needs somebody says so")
    func noInterceptor() async throws {
        #expect(PeerIdentity.current == nil)
        let transport = SPIFFEServerTransport(
            host: "127.0.0.1", port: 0, source: try realm.source("/server"), authorizing: .any)
        try await MirrorServer.run(transport) { [client] server in
            let error = await refusal(server, through: try server.transport(client))
            #expect(error?.code == .unauthenticated)
        }
    }

    @Test("a refusal becomes a status that says no more than its kind")
    func statuses() {
        let statuses: [(PeerRefusal.Code, RPCError.Code)] = [
            (.noIdentity, .unauthenticated), (.invalidIdentity, .unauthenticated), (.notAuthorized, .permissionDenied),
            (.unavailable, .unavailable),
        ]
        for (code, expected) in statuses {
            let error = RPCError(PeerRefusal(code, "secret detail"))
            #expect(error.code == expected)
            // The cause stays on this side.
            #expect(!error.message.contains("secret detail"))
        }
    }
}
