import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
import SPIFFE
import Synchronization
import TestSupport
import Testing
import WorkloadIdentity
import WorkloadIdentityAsyncHTTPClient
import X509

@Suite("HTTP clients that know their server by its SPIFFE ID", .timeLimit(.minutes(1)))
struct WorkloadHTTPClientTests {
    let ca: TestCA
    let source: X509Source
    let server: SPIFFEID

    init() throws {
        ca = try TestCA()
        source = try Fixtures.source(try ca.leaf("spiffe://example.org/client"), trusting: ca)
        server = try SPIFFEID("spiffe://example.org/server")
    }

    private func serverLeaf() throws -> RawServer.Behaviour {
        let leaf = try ca.leaf("\(server)")
        return .tls([leaf.certificate], key: leaf.pkcs8)
    }

    /// Uses a client, and shuts it down whatever happens.
    private func withClient(
        _ client: WorkloadHTTPClient, _ body: (WorkloadHTTPClient) async throws -> Void
    ) async throws {
        do {
            try await body(client)
        } catch {
            try await client.shutdown()
            throw error
        }
        try await client.shutdown()
    }

    @Test("asks the right server, which sees an ordinary request")
    func rightServer() async throws {
        let behaviour = try serverLeaf()
        try await RawServer.with({ behaviour }) { raw in
            try await withClient(WorkloadHTTPClient(source: source, authorizing: .id(server))) { client in
                for _ in 0..<3 {
                    var request = HTTPClientRequest(url: "https://localhost:\(raw.port)/a%20b?c=d")
                    request.method = .POST
                    request.body = .bytes(ByteBuffer(string: "body"))
                    let response = try await client.execute(request)
                    #expect(response.status == .ok)
                    #expect(String(buffer: try await response.body.collect(upTo: 10)) == "ok")
                }
            }
            #expect(raw.record.requests.map(\.uri) == Array(repeating: "/a%20b?c=d", count: 3))
            #expect(raw.record.requests.allSatisfy { $0.headers["Host"] == ["localhost:\(raw.port)"] })
            #expect(raw.record.requests.allSatisfy { $0.headers["Authorization"].isEmpty })
            #expect(raw.record.connections == 1, "connections are used again")
            #expect(raw.record.firstBytes == [22])
        }
    }

    @Test("accepts a server whose chain has an intermediate")
    func intermediate() async throws {
        let intermediate = try ca.intermediate()
        let leaf = try intermediate.leaf("\(server)")
        try await RawServer.with({ .tls([leaf.certificate, intermediate.certificate], key: leaf.pkcs8) }) { raw in
            try await withClient(WorkloadHTTPClient(source: source, authorizing: .id(server))) { client in
                let response = try await client.execute(HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/"))
                #expect(response.status == .ok)
            }
        }
    }

    /// Servers that are not the one expected.
    enum Impostor: CaseIterable {
        case otherTrustDomain, otherIdentity, signedByOtherDomain, expired, notYetValid, authority, trustDomainItself
        case twoIdentities, dnsNameOnly, forgedAuthority, leafAsIssuer

        var code: PeerRefusal.Code { self == .otherIdentity ? .notAuthorized : .invalidIdentity }

        func behaviour(_ ca: TestCA) throws -> RawServer.Behaviour {
            let server = "spiffe://example.org/server"
            let other = try TestCA("other.example")
            var rest: [Certificate] = []
            let leaf: TestCA.Leaf
            switch self {
            case .otherTrustDomain: leaf = try other.leaf("spiffe://other.example/server")
            case .otherIdentity: leaf = try ca.leaf("spiffe://example.org/impostor")
            case .signedByOtherDomain: leaf = try other.leaf(server)
            case .expired: leaf = try ca.leaf(server) { $0.validity = .distantPast..<CertificateRecipe.now - 1 }
            case .notYetValid:
                leaf = try ca.leaf(server) { $0.validity = CertificateRecipe.now + 600..<CertificateRecipe.now + 900 }
            case .authority:
                leaf = try ca.leaf(server) { $0.basicConstraints = .isCertificateAuthority(maxPathLength: nil) }
            case .trustDomainItself: leaf = try ca.leaf("spiffe://example.org")
            case .twoIdentities: leaf = try ca.leaf(server) { $0.uris.append("spiffe://example.org/impostor") }
            case .dnsNameOnly:
                leaf = try ca.leaf(server) {
                    $0.uris = []
                    $0.dnsNames = ["localhost"]
                }
            case .forgedAuthority: leaf = try TestCA().leaf(server)
            case .leafAsIssuer:
                let issuer = try ca.intermediate { $0.basicConstraints = .notCertificateAuthority }
                leaf = try issuer.leaf(server)
                rest = [issuer.certificate]
            }
            return .tls([leaf.certificate] + rest, key: leaf.pkcs8)
        }
    }

    @Test("sends nothing to an impostor, and says why (X05..X08, X509-24..30)", arguments: Impostor.allCases)
    func impostors(_ impostor: Impostor) async throws {
        let bad = try impostor.behaviour(ca)
        let good = try serverLeaf()
        let isGood = Atomic(false)
        try await RawServer.with({ isGood.load(ordering: .relaxed) ? good : bad }) { raw in
            let tokens = BearerTokens { "secret" }
            let client = WorkloadHTTPClient(source: source, authorizing: .id(server), tokens: tokens)
            try await withClient(client) { client in
                let request = HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/")
                for _ in 0..<3 {
                    let error = await #expect(throws: PeerRefusal.self) { try await client.execute(request) }
                    #expect(error?.code == impostor.code)
                }
                #expect(raw.record.requests.isEmpty)
                isGood.store(true, ordering: .relaxed)
                let response = try await client.execute(request)
                #expect(response.status == .ok, "the client goes on once the server is the right one")
            }
        }
    }

    @Test("many requests at once to an impostor are refused like one")
    func crowd() async throws {
        let bad = try Impostor.otherIdentity.behaviour(ca)
        try await RawServer.with({ bad }) { raw in
            try await withClient(WorkloadHTTPClient(source: source, authorizing: .id(server))) { client in
                let request = HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<50 {
                        group.addTask {
                            let error = await #expect(throws: PeerRefusal.self) { try await client.execute(request) }
                            #expect(error?.code == .notAuthorized)
                        }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(raw.record.requests.isEmpty)
        }
    }

    @Test("trusts the bundle of the server's own domain alone")
    func foreignBundle() async throws {
        let other = try TestCA("other.example")
        let forged = try other.leaf("\(server)")
        let own = try other.leaf("spiffe://other.example/server")
        let source = try Fixtures.source(try ca.leaf("spiffe://example.org/client"), trusting: ca, other)
        try await withClient(WorkloadHTTPClient(source: source, authorizing: .any)) { client in
            try await RawServer.with({ .tls([forged.certificate], key: forged.pkcs8) }) { raw in
                await #expect(throws: PeerRefusal.self) {
                    try await client.execute(HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/"))
                }
                #expect(raw.record.requests.isEmpty)
            }
            try await RawServer.with({ .tls([own.certificate], key: own.pkcs8) }) { raw in
                let response = try await client.execute(HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/"))
                #expect(response.status == .ok, "a federated domain's server is known by its own bundle")
            }
        }
    }

    @Test(
        "gives up on a server that does not speak TLS, closes, or says nothing",
        arguments: ["plain", "closing", "silent"])
    func noTLS(_ kind: String) async throws {
        let behaviour: RawServer.Behaviour = kind == "plain" ? .plain : kind == "closing" ? .closing : .silent
        var configuration = HTTPClient.Configuration()
        configuration.timeout.connect = .milliseconds(200)
        let client = WorkloadHTTPClient(
            source: source, authorizing: .any, tokens: BearerTokens { "secret" }, configuration: configuration)
        try await RawServer.with({ behaviour }) { raw in
            try await withClient(client) { client in
                for _ in 0..<3 {
                    await #expect(throws: (any Error).self) {
                        try await client.execute(HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/"))
                    }
                }
            }
            #expect(raw.record.requests.isEmpty)
            #expect(raw.record.firstBytes.allSatisfy { $0 == 22 }, "nothing but a TLS handshake was sent")
        }
    }

    @Test("without an identity nothing is sent, and the reason is given")
    func noIdentity() async throws {
        let behaviour = try serverLeaf()
        let held = try source.update
        try await RawServer.with({ behaviour }) { raw in
            try await withClient(WorkloadHTTPClient(source: source, authorizing: .any)) { client in
                let request = HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/")
                source.replace(with: .failure(WorkloadAPIError(.noIdentity, "taken back")))
                await #expect(throws: WorkloadAPIError(.noIdentity, "taken back")) { try await client.execute(request) }
                #expect(raw.record.firstBytes.isEmpty)
                source.replace(with: .success(held))
                let response = try await client.execute(request)
                #expect(response.status == .ok)
            }
        }
    }

    @Test("after rotation new connections are judged by the new bundle")
    func rotation() async throws {
        let next = try TestCA(commonName: "next root")
        let first = try serverLeaf()
        let renewed = try next.leaf("\(server)")
        let client = try next.leaf("spiffe://example.org/client")
        let isRotated = Atomic(false)
        var configuration = HTTPClient.Configuration()
        configuration.maximumUsesPerConnection = 1
        try await RawServer.with({
            isRotated.load(ordering: .relaxed) ? .tls([renewed.certificate], key: renewed.pkcs8) : first
        }) { raw in
            try await withClient(
                WorkloadHTTPClient(source: source, authorizing: .id(server), configuration: configuration)
            ) { http in
                let request = HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/")
                #expect(try await http.execute(request).status == .ok)
                isRotated.store(true, ordering: .relaxed)
                await #expect(throws: PeerRefusal.self) { try await http.execute(request) }
                source.replace(with: .success(try Fixtures.update(client, trusting: [next])))
                #expect(try await http.execute(request).status == .ok)
            }
        }
    }

    @Test("a fresh token goes with each request, in place of the request's own (JWT-23)")
    func tokens() async throws {
        let behaviour = try serverLeaf()
        let number = Atomic(0)
        let tokens = BearerTokens { "t\(number.add(1, ordering: .relaxed).newValue)" }
        let client = WorkloadHTTPClient(source: source, authorizing: .id(server), tokens: tokens)
        try await RawServer.with({ behaviour }) { raw in
            try await withClient(client) { client in
                var request = HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/")
                request.headers.add(name: "authorization", value: "Basic dTpw")
                for _ in 0..<2 { _ = try await client.execute(request).body.collect(upTo: 10) }
            }
            #expect(raw.record.requests.map { $0.headers["Authorization"] } == [["Bearer t1"], ["Bearer t2"]])
        }
    }

    @Test("without a token nothing is sent")
    func noToken() async throws {
        let behaviour = try serverLeaf()
        let tokens = BearerTokens { throw WorkloadAPIError(.noIdentity, "no entry") }
        try await RawServer.with({ behaviour }) { raw in
            try await withClient(WorkloadHTTPClient(source: source, authorizing: .any, tokens: tokens)) { client in
                await #expect(throws: WorkloadAPIError(.noIdentity, "no entry")) {
                    try await client.execute(HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/"))
                }
            }
            #expect(raw.record.connections == 0)
        }
    }

    @Test("redirects are not followed, even when the configuration would")
    func redirects() async throws {
        let behaviour = try serverLeaf()
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .follow(max: 5, allowCycles: false)
        let client = WorkloadHTTPClient(
            source: source, authorizing: .any, tokens: BearerTokens { "secret" }, configuration: configuration)
        try await RawServer.with({ .plain }) { elsewhere in
            try await RawServer.with({ behaviour }, redirectingTo: "http://127.0.0.1:\(elsewhere.port)/") { raw in
                try await withClient(client) { client in
                    let response = try await client.execute(HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/"))
                    #expect(response.status == .temporaryRedirect)
                }
            }
            #expect(elsewhere.record.connections == 0)
        }
    }

    @Test("an initializer of the user's own runs once the server is known")
    func ownInitializer() async throws {
        let behaviour = try serverLeaf()
        let seen = Mutex<[Bool]>([])
        var configuration = HTTPClient.Configuration()
        configuration.http1_1ConnectionDebugInitializer = { channel in
            let leaf = try? channel.pipeline.syncOperations.nioSSL_peerCertificate()
            seen.withLock { $0.append(leaf != nil) }
            return channel.eventLoop.makeSucceededVoidFuture()
        }
        try await RawServer.with({ behaviour }) { raw in
            let client = WorkloadHTTPClient(source: source, authorizing: .any, configuration: configuration)
            try await withClient(client) { client in
                _ = try await client.execute(HTTPClientRequest(url: "https://127.0.0.1:\(raw.port)/"))
            }
        }
        #expect(seen.withLock { $0 } == [true])
    }

    @Test("workload TLS also runs over a Unix socket")
    func unixSocket() async throws {
        let behaviour = try serverLeaf()
        try await TemporaryFolder.use { folder in
            try await RawServer.with({ behaviour }, unixSocket: "\(folder)/s") { raw in
                try await withClient(WorkloadHTTPClient(source: source, authorizing: .id(server))) { client in
                    let url = "https+unix://\(folder.replacingOccurrences(of: "/", with: "%2F"))%2Fs/x"
                    let response = try await client.execute(HTTPClientRequest(url: url))
                    #expect(response.status == .ok)
                }
                #expect(raw.record.firstBytes == [22])
            }
        }
    }

    @Test(
        "what is not https is refused where the server must be known",
        arguments: ["http://127.0.0.1:1/", "http+unix://%2Ftmp%2Fs/", "unix:/tmp/s", "ftp://h/", "HTTP://localhost/"])
    func notTLS(_ url: String) async throws {
        try await withClient(WorkloadHTTPClient(source: source, authorizing: .any)) { client in
            await #expect {
                try await client.execute(HTTPClientRequest(url: url))
            } throws: {
                [.notConfidential, .invalidURL].contains(($0 as? RequestRefusal)?.code)
            }
        }
    }

    @Test("a request's own TLS settings are refused, since they would do nothing")
    func foreignTLS() async throws {
        try await withClient(WorkloadHTTPClient(source: source, authorizing: .any)) { client in
            var request = HTTPClientRequest(url: "https://127.0.0.1:1/")
            request.tlsConfiguration = .makeClientConfiguration()
            await #expect {
                try await client.execute(request)
            } throws: {
                ($0 as? RequestRefusal)?.code == .foreignTLS
            }
        }
    }
}
