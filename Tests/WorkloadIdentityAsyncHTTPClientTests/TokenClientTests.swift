import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
import TestSupport
import Testing
import WorkloadIdentity
import WorkloadIdentityAsyncHTTPClient
import X509

@Suite("HTTP clients that show tokens to ordinary servers", .timeLimit(.minutes(1)))
struct TokenClientTests {
    private func refusal(
        _ url: String, configuration: HTTPClient.Configuration = .init(), tls: TLSConfiguration? = nil
    ) async throws -> RequestRefusal.Code? {
        let client = WorkloadHTTPClient(tokens: BearerTokens { "secret" }, configuration: configuration)
        var request = HTTPClientRequest(url: url)
        request.tlsConfiguration = tls
        var code: RequestRefusal.Code?
        do { _ = try await client.execute(request) } catch { code = (error as? RequestRefusal)?.code }
        try await client.shutdown()
        return code
    }

    @Test(
        "a token is not sent in clear to another machine (JWT-25)",
        arguments: [
            "http://example.org/", "http://10.0.0.1/", "HTTP://example.org/", "http://127.0.0.1.example.org/",
            "http://127.0.0.1@example.org/", "http://127.1/", "http://127.0.0.01/", "http://127.0.0.256/",
            "http://0.0.0.0/", "http://localhost/", "http://[::ffff:127.0.0.1]/", "http://[::2]/", "http://2130706433/",
            "unix:/tmp/s",
        ])
    func notConfidential(_ url: String) async throws {
        #expect([.notConfidential, .invalidURL].contains(try await refusal(url)))
    }

    @Test("a proxy or a DNS override makes plain HTTP go elsewhere, so it is refused")
    func detours() async throws {
        var proxied = HTTPClient.Configuration()
        proxied.proxy = .server(host: "192.0.2.1", port: 3128)
        #expect(try await refusal("http://127.0.0.1:1/", configuration: proxied) == .notConfidential)
        var overridden = HTTPClient.Configuration()
        overridden.dnsOverride = ["127.0.0.1": "192.0.2.1"]
        #expect(try await refusal("http://127.0.0.1:1/", configuration: overridden) == .notConfidential)
    }

    @Test("TLS that does not make sure who the server is does not count", arguments: [true, false])
    func weakTLS(_ perRequest: Bool) async throws {
        for verification in [CertificateVerification.none, .noHostnameVerification] {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.certificateVerification = verification
            var configuration = HTTPClient.Configuration()
            if !perRequest { configuration.tlsConfiguration = tls }
            let code = try await refusal(
                "https://127.0.0.1:1/", configuration: configuration, tls: perRequest ? tls : nil)
            #expect(code == .notConfidential)
        }
    }

    @Test("a server that public authorities do not know gets nothing")
    func unknownServer() async throws {
        let ca = try TestCA()
        let leaf = try ca.leaf("spiffe://example.org/server") { $0.dnsNames = ["localhost"] }
        let client = WorkloadHTTPClient(tokens: BearerTokens { "secret" })
        try await RawServer.with({ .tls([leaf.certificate], key: leaf.pkcs8) }) { raw in
            await #expect(throws: (any Error).self) {
                try await client.execute(HTTPClientRequest(url: "https://localhost:\(raw.port)/"))
            }
            #expect(raw.record.requests.isEmpty)
        }
        try await client.shutdown()
    }

    @Test("a token is sent to this machine, and a redirect to elsewhere is not followed")
    func loopback() async throws {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .follow(max: 5, allowCycles: false)
        let client = WorkloadHTTPClient(tokens: BearerTokens { "fresh" }, configuration: configuration)
        try await RawServer.with({ .plain }) { elsewhere in
            try await RawServer.with({ .plain }, redirectingTo: "http://127.0.0.1:\(elsewhere.port)/") { raw in
                let response = try await client.execute(HTTPClientRequest(url: "http://127.0.0.1:\(raw.port)/"))
                #expect(response.status == .temporaryRedirect)
                #expect(raw.record.requests.map { $0.headers["Authorization"] } == [["Bearer fresh"]])
            }
            #expect(elsewhere.record.connections == 0)
        }
        try await client.shutdown()
    }

    @Test("a token is sent to a Unix socket")
    func unixSocket() async throws {
        let client = WorkloadHTTPClient(tokens: BearerTokens { "fresh" })
        try await TemporaryFolder.use { folder in
            try await RawServer.with({ .plain }, unixSocket: "\(folder)/s") { raw in
                let url = "http+unix://\(folder.replacingOccurrences(of: "/", with: "%2F"))%2Fs/x"
                let response = try await client.execute(HTTPClientRequest(url: url))
                #expect(response.status == .ok)
                #expect(raw.record.requests.map { $0.headers["Authorization"] } == [["Bearer fresh"]])
            }
        }
        try await client.shutdown()
    }
}
