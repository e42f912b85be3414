import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOEmbedded
import SPIFFE
import TestSupport
import Testing
import WorkloadIdentity
import WorkloadIdentityHummingbird

@Suite("Judging callers")
struct PeerIdentityMiddlewareTests {
    let issuer: TokenIssuer
    let ca: TestCA
    let logs = LogCollector()

    init() throws {
        issuer = try TokenIssuer()
        ca = try TestCA()
    }

    private func proof(certificates: Bool = false) -> CallerProof {
        CallerProof(acceptsCertificate: certificates) { [issuer] token throws(PeerRefusal) in try issuer.verify(token) }
    }

    /// What the middleware makes of a request on a connection without TLS.
    private func answer(
        _ proof: CallerProof, authorizing authorizer: PeerAuthorizer = .any, _ authorization: String...
    ) async throws -> (response: Response, text: String) {
        var request = HTTPRequest(method: .get, scheme: "http", authority: "h", path: "/")
        for value in authorization {
            request.headerFields.append(HTTPField(name: .authorization, value: value))
        }
        let context = BasicRequestContext(
            source: ApplicationRequestContextSource(channel: EmbeddedChannel(), logger: logs.logger()))
        let response = try await PeerIdentityMiddleware<BasicRequestContext>(proof, authorizing: authorizer).handle(
            Request(head: request, body: RequestBody(buffer: ByteBuffer())), context: context
        ) { _, _ in
            Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: "\(try PeerIdentity.required())")))
        }
        let collected = CollectedBody()
        try await response.body.write(collected)
        return (response, collected.text)
    }

    @Test(
        "a token's identity reaches the handler, however its scheme is spelt (JWT-23)",
        arguments: ["Bearer", "bearer", "BEARER", "bEaReR"])
    func goodToken(_ scheme: String) async throws {
        let (response, text) = try await answer(proof(), "\(scheme) \(try issuer.token())")
        #expect(response.status == .ok)
        #expect(text == "spiffe://example.org/caller")
    }

    @Test("nothing is known outside of a request")
    func outside() {
        #expect(PeerIdentity.current == nil)
    }

    /// Requests that prove nothing.
    enum Bad: CaseIterable {
        case otherAudience, expired, otherIssuer, otherTrustDomain, garbage, empty, tampered, twoHeaders, twoInOne
        case goodAndBasic, spaceInside, long

        func headers(_ issuer: TokenIssuer) throws -> [String] {
            let good = "Bearer \(try issuer.token())"
            return switch self {
            case .otherAudience: ["Bearer \(try issuer.token(audience: "another"))"]
            case .expired: ["Bearer \(try issuer.token(expiry: -3600))"]
            case .otherIssuer: ["Bearer \(try TokenIssuer().token())"]
            case .otherTrustDomain: ["Bearer \(try TokenIssuer("other.example").token())"]
            case .garbage: ["Bearer x.y.z"]
            case .empty: ["Bearer "]
            case .tampered: [good.dropLast(8) + "AAAAAAAA"].map(String.init)
            case .twoHeaders: [good, good]
            case .twoInOne: ["\(good), \(good)"]
            case .goodAndBasic: [good, "Basic dTpw"]
            case .spaceInside: [good + " x"]
            case .long: ["Bearer " + String(repeating: "a", count: 60_000)]
            }
        }
    }

    @Test(
        "a bad token is refused, also where a certificate would do, and nothing says why (J01..J24)",
        arguments: Bad.allCases, [false, true])
    func badToken(_ bad: Bad, certificates: Bool) async throws {
        let headers = try bad.headers(issuer)
        let (response, text) = try await #require(
            headers.count == 1
                ? answer(proof(certificates: certificates), headers[0])
                : answer(proof(certificates: certificates), headers[0], headers[1]))
        #expect(response.status == .unauthorized)
        #expect(response.headers[.wwwAuthenticate] == #"Bearer error="invalid_token""#)
        #expect(text == "invalid_identity\n")
        let records = logs.records.filter { $0.message == "request refused" }
        #expect(records.map(\.level) == [.info])
        for part in headers[0].dropFirst(7).split(separator: ".") where part.count > 8 {
            #expect(!"\(records)".contains(part), "no part of a token is logged")
        }
    }

    @Test("without a token one is asked for", arguments: [[], ["Basic dTpw"], ["Bearerx abc"], [""]])
    func noToken(_ headers: [String]) async throws {
        let (response, text) = try await #require(
            headers.isEmpty ? answer(proof()) : answer(proof(), headers[0]))
        #expect(response.status == .unauthorized)
        #expect(response.headers[.wwwAuthenticate] == "Bearer")
        #expect(text == "no_identity\n")
    }

    @Test("a proven caller who is not permitted is told so, and named in the log alone")
    func notAuthorized() async throws {
        let other = try SPIFFEID("spiffe://example.org/other")
        let (response, text) = try await answer(
            proof(), authorizing: .id(other), "Bearer \(try issuer.token())")
        #expect(response.status == .forbidden)
        #expect(text == "not_authorized\n")
        let record = try #require(logs.records.first { $0.message == "request refused" })
        #expect(record.metadata["spiffe.id"] == "spiffe://example.org/caller")
    }

    @Test("the lack of bundles is this side's fault")
    func unavailable() async throws {
        let proof = CallerProof(acceptsCertificate: true) { _ throws(PeerRefusal) in
            throw PeerRefusal(.unavailable, "no bundles")
        }
        let (response, text) = try await answer(proof, "Bearer \(try issuer.token())")
        #expect(response.status == .serviceUnavailable)
        #expect(text == "unavailable\n")
    }

    @Test("where a certificate alone counts, a token is not looked at and not asked for")
    func certificateAlone() async throws {
        let (response, _) = try await answer(.certificate, "Bearer \(try issuer.token())")
        #expect(response.status == .forbidden)
        #expect(response.headers[.wwwAuthenticate] == nil)
    }

    @Test("what a handler throws is not taken for a refusal of its caller")
    func handlerThrows() async throws {
        let context = BasicRequestContext(
            source: ApplicationRequestContextSource(channel: EmbeddedChannel(), logger: logs.logger()))
        var request = HTTPRequest(method: .get, scheme: "http", authority: "h", path: "/")
        request.headerFields[.authorization] = "Bearer \(try issuer.token())"
        let middleware = PeerIdentityMiddleware<BasicRequestContext>(proof(), authorizing: .any)
        await #expect(throws: PeerRefusal(.notAuthorized, "a server that the handler called")) {
            _ = try await middleware.handle(
                Request(head: request, body: RequestBody(buffer: ByteBuffer())), context: context
            ) { _, _ in throw PeerRefusal(.notAuthorized, "a server that the handler called") }
        }
    }

    @Test("a token speaks for the request, and the certificate where there is none")
    func either() async throws {
        let source = try Fixtures.source(try ca.leaf("spiffe://example.org/service"), trusting: ca)
        let leaf = try ca.leaf("spiffe://example.org/proxy")
        let token = try issuer.token()
        try await RunningService.with(
            .spiffe(source: source, authorizing: .any, clientCertificate: .optional),
            accepting: proof(certificates: true)
        ) { service async throws -> Void in
            func ask(_ authorization: String, certificate: Bool) async throws -> String {
                try await RawClient.ask(
                    port: service.port, presenting: certificate ? [leaf.certificate] : [], key: leaf.pkcs8,
                    request: "GET /whoami HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\(authorization)\r\n"
                ).text
            }
            #expect(try await ask("", certificate: true).contains("spiffe://example.org/proxy x509"))
            #expect(
                try await ask("Authorization: Bearer \(token)\r\n", certificate: true)
                    .contains("spiffe://example.org/caller jwt"))
            #expect(
                try await ask("Authorization: Bearer \(token)\r\n", certificate: false)
                    .contains("spiffe://example.org/caller jwt"))
            #expect(try await ask("Authorization: Bearer x\r\n", certificate: true).hasPrefix("HTTP/1.1 401"))
            #expect(
                try await ask("Authorization: Bearer \(token)\r\nauthorization: Bearer \(token)\r\n", certificate: true)
                    .hasPrefix("HTTP/1.1 401"))
            #expect(try await ask("", certificate: false).hasPrefix("HTTP/1.1 401"))
        }
    }
}

/// A body, read to its end.
final class CollectedBody: ResponseBodyWriter {
    private(set) var text = ""

    func write(_ buffer: ByteBuffer) async throws { text += String(buffer: buffer) }

    func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
