import Foundation
import HTTPTypes
import Logging
import SPIFFE
import TestSupport
import Testing
import VerifyServer
import WorkloadIdentity

@Suite("Answers to a proxy")
struct VerificationResponderTests {
    private func answer(
        to path: String, _ fields: HTTPFields = [:], method: HTTPRequest.Method = .get, holding bundles: HeldBundles,
        by judge: RequestJudge? = nil, logger: Logger = LogCollector().logger()
    ) throws -> VerdictAnswer {
        let responder = VerificationResponder(
            judge: try judge ?? Asking.judge(), clock: ManualClock(Asking.now), logger: logger
        ) { bundles }
        return responder.answer(
            to: HTTPRequest(method: method, scheme: nil, authority: nil, path: path, headerFields: fields))
    }

    private func header(_ name: String, of answer: VerdictAnswer) throws -> String? {
        answer.head.headerFields[try #require(HTTPField.Name(name))]
    }

    @Test("200 names the caller in headers and body", arguments: [HTTPRequest.Method.get, .post, .options, .connect])
    func allowed(_ method: HTTPRequest.Method) throws {
        let asking = try Asking()
        let answer = try answer(
            to: "/verify", .bearer(try asking.token()), method: method, holding: try asking.bundles)
        #expect(answer.head.status == .ok)
        #expect(try header("X-SPIFFE-ID", of: answer) == Asking.caller)
        #expect(try header("X-SPIFFE-Trust-Domain", of: answer) == "example.org")
        #expect(try header("X-SPIFFE-Expires-At", of: answer) == "2027-01-15T08:05:00Z")
        #expect(try header("X-SPIFFE-Proof", of: answer) == "jwt")
        #expect(
            answer.body == """
                {"spiffe_id":"spiffe://example.org/w","trust_domain":"example.org",\
                "expires_at":"2027-01-15T08:05:00Z","proof":"jwt"}\n
                """)
    }

    @Test("a certificate's identity ends with the first certificate of its chain")
    func certificateExpiry() throws {
        let asking = try Asking()
        let fields = HTTPFields.of([("x-ssl-client-cert", try asking.authority.leaf().certificate.escaped())])
        let answer = try answer(
            to: "/verify", fields, holding: try asking.bundles, by: try Asking.judge(header: .sslClientCert))
        #expect(try header("X-SPIFFE-Expires-At", of: answer) == "2027-01-15T08:30:00Z")
        #expect(try header("X-SPIFFE-Proof", of: answer) == "x509")
    }

    @Test("refusals have a status, a challenge and one word")
    func refusals() throws {
        let asking = try Asking()
        let (held, token) = (try asking.bundles, HTTPFields.bearer(try asking.token()))
        let silent = try answer(to: "/verify", holding: held)
        #expect(silent.head.status == .unauthorized)
        #expect(silent.head.headerFields[.wwwAuthenticate] == "Bearer")
        #expect(silent.body == "{\"reason\":\"no_identity\"}\n")
        let invalid = try answer(to: "/verify", .bearer("x"), holding: held)
        #expect(invalid.head.status == .unauthorized)
        #expect(invalid.head.headerFields[.wwwAuthenticate] == #"Bearer error="invalid_token""#)
        #expect(invalid.body == "{\"reason\":\"invalid_identity\"}\n")
        let barred = try answer(to: "/verify", token, holding: held, by: try Asking.judge(authorizer: .anyOf([])))
        #expect(barred.head.status == .forbidden)
        #expect(barred.body == "{\"reason\":\"not_authorized\"}\n")
        let blind = try answer(to: "/verify", token, holding: HeldBundles())
        #expect(blind.head.status == .serviceUnavailable)
        #expect(blind.body == "{\"reason\":\"unavailable\"}\n")
        for refusal in [silent, invalid, barred, blind] {
            #expect(!refusal.head.headerFields.contains { $0.name.canonicalName.hasPrefix("x-spiffe") })
            #expect(refusal.head.headerFields[.cacheControl] == "no-store")
        }
    }

    @Test("/healthz says whether both kinds of bundles are held")
    func health() throws {
        let held = try Asking().bundles
        #expect(try answer(to: "/healthz", holding: held).head.status == .ok)
        for missing in [HeldBundles(), HeldBundles(jwt: held.jwt), HeldBundles(x509: held.x509)] {
            #expect(try answer(to: "/healthz", holding: missing).head.status == .serviceUnavailable)
        }
    }

    @Test(
        "a stranger's path below /verify is judged, wherever it seems to lead",
        arguments: [
            "/verify", "/verify/", "/verify?x=/healthz", "/verify/healthz", "/verify/../healthz", "/verify//healthz",
            "/verify/%2e%2e/healthz", "/verify/a?b#c",
        ])
    func below(_ path: String) throws {
        #expect(try answer(to: path, holding: try Asking().bundles).head.status == .unauthorized)
    }

    @Test(
        "every other path answers neither yes nor no",
        arguments: [
            "", "/", "*", "/verifyx", "/Verify", "/x/verify", "//verify", "http://h/verify", "/healthz/", "/healthz/x",
            "/verify%2f", "/./healthz",
        ])
    func elsewhere(_ path: String) throws {
        let asking = try Asking()
        let answer = try answer(to: path, .bearer(try asking.token()), holding: try asking.bundles)
        #expect(answer.head.status == .notFound)
    }

    @Test("logs why, and never a token or a path")
    func log() throws {
        let (asking, log) = (try Asking(), LogCollector())
        let tokens = [
            try asking.token(), try asking.token(aud: .string("b")), try asking.token(sub: "spiffe://other.org/x"),
            "rubbish.rubbish.rubbish",
        ]
        for token in tokens {
            _ = try answer(
                to: "/verify/secret-path?token=\(token)", .bearer(token), holding: try asking.bundles,
                logger: log.logger())
        }
        #expect(log.messages() == ["request allowed", "request refused", "request refused", "request refused"])
        let written = log.records.map { "\($0.message) \($0.metadata)" }.joined(separator: "\n")
        #expect(written.contains("audience"))
        #expect(!written.contains("secret-path"))
        for part in tokens.flatMap({ $0.split(separator: ".") }) { #expect(!written.contains(part)) }
    }
}

@Suite("Loopback addresses")
struct LoopbackAddressTests {
    @Test(
        "takes loopback literals",
        arguments: [
            ("127.0.0.1:9191", "127.0.0.1", 9191), ("127.3.2.1:0", "127.3.2.1", 0), ("[::1]:65535", "::1", 65_535),
        ])
    func takes(_ text: String, host: String, port: Int) throws {
        let address = try LoopbackAddress(text)
        #expect(address.host == host)
        #expect(address.port == port)
    }

    @Test(
        "refuses addresses that others can reach, and names that may lead to one",
        arguments: [
            "0.0.0.0:1", "10.0.0.1:1", "126.255.255.255:1", "128.0.0.1:1", "localhost:1", "[::]:1",
            "[fe80::1]:1", "[::ffff:127.0.0.1]:1", "127.0.0.1.example.org:1", "127.1:1", "0127.0.0.1:1",
        ])
    func open(_ text: String) throws {
        let flaw = try #require(throws: LoopbackAddress.Flaw.self) { try LoopbackAddress(text) }
        #expect(flaw != .malformed)
    }

    @Test(
        "refuses what is no address and port",
        arguments: [
            "", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+1", ":1", "::1:1", "[::1]", "[x]:1",
        ])
    func malformed(_ text: String) {
        #expect(throws: LoopbackAddress.Flaw.malformed) { try LoopbackAddress(text) }
    }
}
