import Crypto
import Foundation
import IssuerDomain
import SPIFFE
import StoreContract
import Testing

@Suite("Tokens of OpenID providers")
struct IdentityTokenTests {
    static let key = P256.Signing.PrivateKey()

    static func issuer() throws -> TokenIssuer {
        TokenIssuer(
            name: "corp", issuer: "https://id.example.org", audience: try JWTAudience("mintmark"), keys: .file("/x"),
            algorithms: [.es256])
    }

    static func keys() throws -> [String: JWTVerificationKey] {
        let jwk = try JWTVerificationKey(derRepresentation: key.publicKey.derRepresentation)
        return ["k1": jwk]
    }

    static var claims: [String: String] {
        [
            "iss": "\"https://id.example.org\"", "sub": "\"alice\"", "aud": "[\"x\",\"mintmark\"]",
            "exp": "1800000600", "groups": "[\"ops\",\"dev\"]", "n": "7",
        ]
    }

    static func token(
        header: String = #"{"alg":"ES256","kid":"k1"}"#, _ change: (inout [String: String]) -> Void = { _ in },
        signedBy key: P256.Signing.PrivateKey = key
    ) throws -> String {
        var claims = claims
        change(&claims)
        let body = "{" + claims.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(body.utf8))
        return input + "." + Base64URL.encode(try key.signature(for: Data(input.utf8)).rawRepresentation)
    }

    static func verify(_ token: String, at seconds: TimeInterval = 0) throws -> IdentityToken {
        try IdentityToken(verifying: token, from: issuer(), keys: keys(), now: Sample.start + seconds)
    }

    @Test("A sound token names its subject and its claims")
    func sound() throws {
        let token = try Self.verify(Self.token())
        #expect(token.subject == "alice")
        #expect(token.claims["groups"] == ["ops", "dev"])
        #expect(token.claims["sub"] == ["alice"])
        #expect(token.claims["n"] == nil)
        #expect(IdentityToken.claimedIssuer(of: try Self.token()) == "https://id.example.org")
    }

    @Test(
        "One thing wrong is enough",
        arguments: [
            ("iss", "\"https://id.example.org/\""), ("iss", nil), ("aud", "\"other\""), ("aud", "[]"), ("aud", nil),
            ("exp", "1799999940"), ("exp", nil), ("exp", "\"1800000600\""), ("exp", "1e300"), ("nbf", "1800000061"),
            ("nbf", "\"now\""), ("sub", nil), ("sub", "\"\""), ("sub", "7"),
        ] as [(String, String?)])
    func claims(name: String, value: String?) throws {
        #expect(throws: IdentityToken.Refusal.self) { _ = try Self.verify(Self.token { $0[name] = value }) }
    }

    @Test(
        "No other algorithm, key or extension is taken",
        arguments: [
            #"{"alg":"none","kid":"k1"}"#, #"{"alg":"HS256","kid":"k1"}"#, #"{"alg":"ES384","kid":"k1"}"#,
            #"{"alg":"RS256","kid":"k1"}"#, #"{"alg":"ES256"}"#, #"{"alg":"ES256","kid":"k2"}"#,
            #"{"alg":"ES256","kid":"k1","crit":["x"]}"#, #"{"alg":"ES256","alg":"ES256","kid":"k1"}"#, "[]", "",
        ])
    func headers(header: String) throws {
        #expect(throws: IdentityToken.Refusal.self) { _ = try Self.verify(Self.token(header: header)) }
    }

    @Test("A signature by another key, a changed claim and what is no token are refused")
    func forged() throws {
        let other = try Self.token(signedBy: P256.Signing.PrivateKey())
        let parts = try Self.token().split(separator: ".")
        let changed = try Self.token { $0["sub"] = "\"root\"" }.split(separator: ".")
        for text in [other, "\(parts[0]).\(changed[1]).\(parts[2])", "\(parts[0]).\(parts[1]).", "", "a.b.c", "...."] {
            #expect(throws: IdentityToken.Refusal.self) { _ = try Self.verify(text) }
        }
    }

    @Test("Clocks may disagree by a minute, and no more")
    func leeway() throws {
        let token = try Self.token()
        #expect(throws: Never.self) { _ = try Self.verify(token, at: 659) }
        #expect(throws: IdentityToken.Refusal.self) { _ = try Self.verify(token, at: 660) }
    }

    @Test("Only an unknown key ID is a reason to read the keys again")
    func newKeys() throws {
        let unknown = #expect(throws: IdentityToken.Refusal.self) {
            _ = try Self.verify(Self.token(header: #"{"alg":"ES256","kid":"k2"}"#))
        }
        let over = #expect(throws: IdentityToken.Refusal.self) { _ = try Self.verify(Self.token(), at: 1000) }
        #expect(unknown?.mayHaveNewKeys == true)
        #expect(over?.mayHaveNewKeys == false)
    }

    @Test("Keys for something else, without an ID, or two of one ID are left out")
    func keySet() throws {
        func jwk(_ more: String, _ key: P256.Signing.PrivateKey = IdentityTokenTests.key) -> String {
            let point = key.publicKey.rawRepresentation
            return """
                {"kty":"EC","crv":"P-256","x":"\(Base64URL.encode(point.prefix(32)))",\
                "y":"\(Base64URL.encode(point.suffix(32)))"\(more)}
                """
        }
        let set = [
            jwk(#","kid":"plain""#), jwk(#","kid":"sig","use":"sig""#), jwk(#","kid":"enc","use":"enc""#), jwk(""),
            jwk(#","kid":"twice""#), jwk(#","kid":"twice""#, P256.Signing.PrivateKey()), #"{"kty":"oct","kid":"oct"}"#,
        ].joined(separator: ",")
        #expect(try Set(TokenKeys.parse(Array("{\"keys\":[\(set)]}".utf8)).keys) == ["plain", "sig"])
        for text in ["", "[]", "{}", "{\"keys\":7}"] {
            #expect(throws: IdentityToken.Refusal.self) { _ = try TokenKeys.parse(Array(text.utf8)) }
        }
    }
}
