import Crypto
import Foundation
import HTTPTypes
import SPIFFE
import TestSupport
import Testing
import VerifyServer
import WorkloadIdentity

/// A request with one thing about it, by the row that speaks of it.
struct RequestCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let fields: @Sendable (Asking) throws -> HTTPFields

    init(_ row: String, _ fields: @escaping @Sendable (Asking) throws -> HTTPFields) {
        (testDescription, self.fields) = (row, fields)
    }

    /// A request with a token that has one thing about it.
    static func token(_ row: String, _ token: @escaping @Sendable (Asking) throws -> String) -> RequestCase {
        RequestCase(row) { .bearer(try token($0)) }
    }
}

@Suite("Requests with a token")
struct RequestJudgeTokenTests {
    private static let seconds = Int(Asking.now.timeIntervalSince1970)

    private func verdict(
        on request: RequestCase, _ asking: Asking, by judge: RequestJudge? = nil, after seconds: TimeInterval = 0
    ) throws -> RequestVerdict {
        try (judge ?? Asking.judge()).verdict(
            on: try request.fields(asking), holding: try asking.bundles, at: Asking.now + seconds)
    }

    @Test("allows what proves the caller", arguments: allowed)
    func allows(_ request: RequestCase) throws {
        #expect(try verdict(on: request, try Asking()).caller == Asking.caller)
    }

    private static let allowed = [
        RequestCase.token("J01 a sound token") { try $0.token() },
        RequestCase.token("J02 type JWT") {
            try $0.token(header: [("alg", .string("ES256")), ("kid", .string("k1")), ("typ", .string("JWT"))])
        },
        RequestCase.token("J12 one audience of two") { try $0.token(aud: .array([.string("b"), .string("a")])) },
        RequestCase.token("J15 ended 59 s ago") { try $0.token(exp: .integer(seconds - 59)) },
        RequestCase.token("J16 an end with a fraction") { try $0.token(exp: .number("\(seconds + 10).5")) },
        RequestCase("scheme in another case") { [.authorization: "bEARER \(try $0.token())"] },
        RequestCase("more than one space (RFC 9110 §11.4)") { [.authorization: "Bearer   \(try $0.token())"] },
        RequestCase("a forwarded certificate that nobody asked for") {
            .of([("authorization", "Bearer \(try $0.token())"), ("x-ssl-client-cert", "rubbish")])
        },
    ]

    @Test("refuses what shows no identity", arguments: silent)
    func silence(_ request: RequestCase) throws {
        #expect(try verdict(on: request, try Asking()).code == .noIdentity)
    }

    private static let silent = [
        RequestCase("no header") { _ in [:] },
        RequestCase("another scheme") { _ in [.authorization: "Basic dTpw"] },
        RequestCase("a scheme that begins like ours") { [.authorization: "BearerX \(try $0.token())"] },
        RequestCase("the token alone") { [.authorization: try $0.token()] },
        RequestCase("an empty header") { _ in [.authorization: ""] },
        RequestCase("the token in another header") { .of([("proxy-authorization", "Bearer \(try $0.token())")]) },
        RequestCase("a certificate in a header that is not trusted") {
            .of([("x-ssl-client-cert", try $0.authority.leaf().certificate.escaped())])
        },
    ]

    @Test("refuses what proves nothing", arguments: refused)
    func refuses(_ request: RequestCase) throws {
        #expect(try verdict(on: request, try Asking()).code == .invalidIdentity)
    }

    private static let stranger = P256.Signing.PrivateKey()

    private static let refused = [
        RequestCase("a scheme without a token") { _ in [.authorization: "Bearer"] },
        RequestCase("a scheme and spaces") { _ in [.authorization: "Bearer   "] },
        RequestCase.token("rubbish") { _ in "rubbish" },
        RequestCase.token("64 KiB of letters") { _ in String(repeating: "x", count: 65_536) },
        RequestCase("two headers, both sound") {
            .of([("authorization", "Bearer \(try $0.token())"), ("Authorization", "Bearer \(try $0.token())")])
        },
        RequestCase("two tokens in one header") {
            [.authorization: "Bearer \(try $0.token()), Bearer \(try $0.token())"]
        },
        RequestCase.token("JWT-13 J04 algorithm none") {
            try $0.token(header: [("alg", .string("none")), ("kid", .string("k1"))])
        },
        RequestCase.token("JWT-13 J04 HS256") {
            try $0.token(header: [("alg", .string("HS256")), ("kid", .string("k1"))])
        },
        RequestCase.token("J05 no key ID") { try $0.token(header: [("alg", .string("ES256"))]) },
        RequestCase.token("J06 unknown key ID") {
            try $0.token(header: [("alg", .string("ES256")), ("kid", .string("k2"))])
        },
        RequestCase.token("JWT-14 J10 no audience") { try $0.token(aud: .null) },
        RequestCase.token("JWT-14 J11 empty list of audiences") { try $0.token(aud: .array([])) },
        RequestCase.token("JWT-15 another audience") { try $0.token(aud: .string("b")) },
        RequestCase.token("J13 audience in another case") { try $0.token(aud: .string("A")) },
        RequestCase.token("JWT-16 J14 no end") { try $0.token(exp: .null) },
        RequestCase.token("JWT-17 J15 ended 60 s ago") { try $0.token(exp: .integer(seconds - 60)) },
        RequestCase.token("J17 begins in two minutes") {
            try $0.token(claims: [("nbf", .integer(seconds + 120))])
        },
        RequestCase.token("JWT-18 J20 subject of another domain") { try $0.token(sub: "spiffe://other.org/w") },
        RequestCase.token("JWT-19 J03 type at+jwt") {
            try $0.token(header: [("alg", .string("ES256")), ("kid", .string("k1")), ("typ", .string("at+jwt"))])
        },
        RequestCase.token("J19 subject that is no SPIFFE ID") { try $0.token(sub: "invalid") },
        RequestCase.token("J19 subject with a line break") { try $0.token(sub: "spiffe://example.org/w\r\nx: y") },
        RequestCase.token("J21 two segments") {
            String(try $0.token().split(separator: ".").dropLast().joined(separator: "."))
        },
        RequestCase.token("J22 another key under the same ID") { try $0.token(signedBy: stranger) },
        RequestCase.token("J24 subject twice") {
            let claims = #"{"sub":"spiffe://example.org/x","sub":"\#(Asking.caller)","aud":"a","exp":\#(seconds + 9)}"#
            return try $0.sign(header: #"{"alg":"ES256","kid":"k1"}"#, claims: claims)
        },
    ]

    @Test("JWT-15 takes a token for any of its own names, and for no other", arguments: ["a", "b", "c"])
    func severalNames(_ audience: String) throws {
        let asking = try Asking()
        let judge = try Asking.judge(audiences: ["a", "b"])
        let request = RequestCase.token("") { try $0.token(aud: .array([.string("x"), .string(audience)])) }
        let verdict = try verdict(on: request, asking, by: judge)
        #expect(verdict.caller == (audience == "c" ? nil : Asking.caller))
        #expect(verdict.code == (audience == "c" ? .invalidIdentity : nil))
    }

    @Test("JWT-15 tells its names apart by their bytes")
    func names() throws {
        let judge = try Asking.judge(audiences: ["z", "cafe\u{301}"])
        let request = RequestCase.token("") { try $0.token(aud: .string("caf\u{E9}")) }
        #expect(try verdict(on: request, try Asking(), by: judge).code == .invalidIdentity)
    }

    @Test("JWT-22 J11 is no judge without a name of its own", arguments: [[], [""], ["a", ""]])
    func nameless(_ audiences: [String]) {
        #expect(throws: SPIFFEError.self) { try Asking.judge(audiences: audiences) }
    }

    @Test("does not let everyone proven go on")
    func authorization() throws {
        let request = RequestCase.token("") { try $0.token() }
        let other = try Asking.judge(authorizer: .id(try SPIFFEID("spiffe://example.org/other")))
        #expect(try verdict(on: request, try Asking(), by: other).code == .notAuthorized)
        let member = try Asking.judge(authorizer: .memberOf(try TrustDomain("example.org")))
        #expect(try verdict(on: request, try Asking(), by: member).caller == Asking.caller)
    }

    @Test("says nothing about who may go on before the caller is proven")
    func order() throws {
        let nobody = try Asking.judge(authorizer: .anyOf([]))
        let request = RequestCase.token("") { try $0.token(signedBy: Self.stranger) }
        #expect(try verdict(on: request, try Asking(), by: nobody).code == .invalidIdentity)
    }

    @Test("a token that held is refused once it has ended")
    func end() throws {
        let (asking, request) = (try Asking(), RequestCase.token("") { try $0.token() })
        #expect(try verdict(on: request, asking, after: 359).caller == Asking.caller)
        #expect(try verdict(on: request, asking, after: 360).code == .invalidIdentity)
    }

    @Test("cannot judge a token without bundles, and does not take that for the caller's fault")
    func withoutBundles() throws {
        let asking = try Asking()
        let judge = try Asking.judge()
        let held = try asking.bundles
        let without = HeldBundles(x509: held.x509)
        #expect(judge.verdict(on: .bearer(try asking.token()), holding: without, at: Asking.now).code == .unavailable)
        #expect(judge.verdict(on: [:], holding: without, at: Asking.now).code == .noIdentity)
        #expect(
            judge.verdict(on: .bearer(try asking.token()), holding: HeldBundles(jwt: [:]), at: Asking.now).code
                == .invalidIdentity)
    }
}
