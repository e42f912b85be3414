import Crypto
import Foundation
import SPIFFE
import TestSupport
import Testing

/// A token with one thing about it, by the row that speaks of it.
struct TokenCase: Sendable, CustomTestStringConvertible {
    let row: String
    let change: @Sendable (inout TokenForge) -> Void
    var code = SPIFFEError.Code.invalidJWTSVID

    var testDescription: String { row }

    init(
        _ row: String, code: SPIFFEError.Code = .invalidJWTSVID,
        _ change: @escaping @Sendable (inout TokenForge) -> Void
    ) {
        (self.row, self.code, self.change) = (row, code, change)
    }
}

@Suite("JWT-SVID verification")
struct JWTSVIDTests {
    private static let now = Int(TokenForge.now)

    private func refusal(
        _ forge: TokenForge = TokenForge(), _ token: String? = nil, audience: String = "a",
        after seconds: TimeInterval = 0, holding bundles: [JWTBundle]? = nil
    ) -> SPIFFEError.Code? {
        let error = #expect(throws: SPIFFEError.self) {
            try forge.verify(token, audience: audience, after: seconds, holding: bundles)
        }
        return error?.code
    }

    @Test("J01 says who it is, for whom, and until when")
    func sound() throws {
        let forge = TokenForge()
        let token = try forge.token()
        let svid = try forge.verify(token)
        #expect(svid.id.description == "spiffe://example.org/w")
        #expect(svid.audience == ["a"])
        #expect(svid.expiry == CertificateRecipe.now + 300)
        #expect(svid.token == token)
        #expect(svid.claims["iat"] == .integer(Self.now))
    }

    @Test("accepts what the document allows", arguments: accepted)
    func accepts(_ sound: TokenCase) throws {
        var forge = TokenForge()
        sound.change(&forge)
        #expect(try forge.verify().id.description == "spiffe://example.org/w")
    }

    private static let accepted = [
        TokenCase("J02 type JWT") { $0.header["typ"] = .string("JWT") },
        TokenCase("J02 type JOSE") { $0.header["typ"] = .string("JOSE") },
        TokenCase("J08 an extra header") { $0.header["cty"] = .string("x") },
        TokenCase("J12 audience as text") { $0.claims["aud"] = .string("a") },
        TokenCase("J12 one audience of two") { $0.claims["aud"] = .array([.string("b"), .string("a")]) },
        TokenCase("J15 ended 30 s ago") { $0.claims["exp"] = .integer(now - 30) },
        TokenCase("J15 ended 59 s ago") { $0.claims["exp"] = .integer(now - 59) },
        TokenCase("J16 an end with a fraction") { $0.claims["exp"] = .number("\(now + 10).5") },
        TokenCase("J16 an end with an exponent") { $0.claims["exp"] = .number("1.9e9") },
        TokenCase("J17 begins in 59 s") { $0.claims["nbf"] = .integer(now + 59) },
        TokenCase("J17 began") { $0.claims["nbf"] = .integer(now - 120) },
        TokenCase("J18 issued in the future, about which the document is silent") {
            $0.claims["iat"] = .integer(now + 120)
        },
        TokenCase("J18 no instant of issue") { $0.claims["iat"] = nil },
        TokenCase("C-02 audience as text, end as whole number") {
            $0.claims["aud"] = .string("a")
            $0.claims["exp"] = .integer(now + 1)
        },
        TokenCase("C-03 unknown headers") {
            $0.header["x5t"] = .string("x")
            $0.header["jku"] = .string("https://x")
        },
        TokenCase("JWT-11 claims of its own") { $0.claims["https://x/role"] = .members(["a": .array([.null])]) },
        TokenCase("JWT-12 a token ID") { $0.claims["jti"] = .string("1") },
    ]

    @Test("refuses what the document forbids", arguments: refused)
    func refuses(_ unsound: TokenCase) {
        var forge = TokenForge()
        unsound.change(&forge)
        #expect(refusal(forge) == unsound.code)
    }

    private static let refused = [
        TokenCase("J03 type jwt") { $0.header["typ"] = .string("jwt") },
        TokenCase("J03 type at+jwt") { $0.header["typ"] = .string("at+jwt") },
        TokenCase("J03 type wit+jwt") { $0.header["typ"] = .string("wit+jwt") },
        TokenCase("J03 empty type") { $0.header["typ"] = .string("") },
        TokenCase("J03 null type") { $0.header["typ"] = .null },
        TokenCase("J04 none") { $0.header["alg"] = .string("none") },
        TokenCase("J04 HS256") { $0.header["alg"] = .string("HS256") },
        TokenCase("J04 EdDSA") { $0.header["alg"] = .string("EdDSA") },
        TokenCase("J04 ES256K") { $0.header["alg"] = .string("ES256K") },
        TokenCase("J04 es256") { $0.header["alg"] = .string("es256") },
        TokenCase("J04 no algorithm") { $0.header["alg"] = nil },
        TokenCase("J04 algorithms as a list") { $0.header["alg"] = .array([.string("ES256")]) },
        TokenCase("J05 no key ID") { $0.header["kid"] = nil },
        TokenCase("J05 empty key ID") { $0.header["kid"] = .string("") },
        TokenCase("J05 key ID as number") { $0.header["kid"] = .integer(1) },
        TokenCase("J06 unknown key ID", code: .untrusted) { $0.header["kid"] = .string("k2") },
        TokenCase("J06 key ID in another case", code: .untrusted) { $0.header["kid"] = .string("K1") },
        TokenCase("J09 critical extension") { $0.header["crit"] = .array([.string("foo")]) },
        TokenCase("J09 empty list of critical extensions") { $0.header["crit"] = .array([]) },
        TokenCase("J10 no audience") { $0.claims["aud"] = nil },
        TokenCase("J11 empty list of audiences") { $0.claims["aud"] = .array([]) },
        TokenCase("J11 empty audience") { $0.claims["aud"] = .string("") },
        TokenCase("J11 null audience") { $0.claims["aud"] = .null },
        TokenCase("J12 audience as number") { $0.claims["aud"] = .integer(1) },
        TokenCase("J12 audience of text and number") { $0.claims["aud"] = .array([.string("a"), .integer(1)]) },
        TokenCase("J13 audience in another case", code: .audienceMismatch) {
            $0.claims["aud"] = .array([.string("A")])
        },
        TokenCase("J13 audience with more behind", code: .audienceMismatch) { $0.claims["aud"] = .string("a/") },
        TokenCase("JWT-15 another audience", code: .audienceMismatch) { $0.claims["aud"] = .string("b") },
        TokenCase("J14 no end") { $0.claims["exp"] = nil },
        TokenCase("J14 end as text") { $0.claims["exp"] = .string("\(now + 300)") },
        TokenCase("J14 end as null") { $0.claims["exp"] = .null },
        TokenCase("J14 end beyond every number") { $0.claims["exp"] = .number("1e400") },
        TokenCase("J15 ended 62 s ago", code: .outsideValidity) { $0.claims["exp"] = .integer(now - 62) },
        TokenCase("J15 ended 60 s ago", code: .outsideValidity) { $0.claims["exp"] = .integer(now - 60) },
        TokenCase("J15 ended long ago", code: .outsideValidity) { $0.claims["exp"] = .integer(0) },
        TokenCase("J15 ended before time began", code: .outsideValidity) { $0.claims["exp"] = .number("-1e300") },
        TokenCase("J17 begins in 120 s", code: .outsideValidity) { $0.claims["nbf"] = .integer(now + 120) },
        TokenCase("J17 begin as text") { $0.claims["nbf"] = .string("0") },
        TokenCase("J18 instant of issue as text") { $0.claims["iat"] = .string("0") },
        TokenCase("J17 begin beyond the calendar") { $0.claims["nbf"] = .number("-1e300") },
        TokenCase("J18 issued beyond the calendar") { $0.claims["iat"] = .number("253402300800") },
        TokenCase("J14 end beyond the calendar") { $0.claims["exp"] = .number("253402300800") },
        TokenCase("C-12 over-long subject", code: .invalidID) {
            $0.claims["sub"] = .string("spiffe://example.org/" + String(repeating: "x", count: 2028))
        },
        TokenCase("C-01 subject in upper case", code: .invalidID) {
            $0.claims["sub"] = .string("SPIFFE://example.org/w")
        },
        TokenCase("C-01 subject of a domain in upper case", code: .invalidTrustDomain) {
            $0.claims["sub"] = .string("spiffe://Example.org/w")
        },
        TokenCase("J19 no subject") { $0.claims["sub"] = nil },
        TokenCase("J19 subject as number") { $0.claims["sub"] = .integer(1) },
        TokenCase("J19 subject that is no SPIFFE ID", code: .invalidID) { $0.claims["sub"] = .string("invalid") },
        TokenCase("J19 empty subject", code: .invalidID) { $0.claims["sub"] = .string("") },
        TokenCase("J20 subject of another domain", code: .unknownTrustDomain) {
            $0.claims["sub"] = .string("spiffe://other.org/w")
        },
    ]

    @Test("J11, JWT-22 refuses to verify without an audience of its own")
    func noExpectation() throws {
        #expect(refusal(audience: "") == .audienceMismatch)
        var forge = TokenForge()
        forge.claims["aud"] = .array([.string("")])
        #expect(refusal(forge, audience: "") == .audienceMismatch)
    }

    @Test("JWT-22 makes no audience of no name, or of an empty one", arguments: [[], [""], ["a", ""]])
    func noAudience(_ names: [String]) {
        let error = #expect(throws: SPIFFEError.self) { try JWTAudience(anyOf: names) }
        #expect(error?.code == .audienceMismatch)
    }

    @Test(
        "JWT-15 accepts a token for any of the service's names, and for no other",
        arguments: [
            (["a"], ["a"], true), (["a", "b"], ["b"], true), (["a", "b"], ["x", "b"], true),
            (["a", "b"], ["c"], false),
            (["a", "b"], ["ab"], false), (["a", "b"], ["a b"], false), (["caf\u{E9}"], ["cafe\u{301}"], false),
        ])
    func severalNames(_ names: [String], _ stated: [String], _ passes: Bool) throws {
        var forge = TokenForge()
        forge.claims["aud"] = .array(stated.map { .string($0) })
        let (token, bundle) = (try forge.token(), try forge.bundle())
        let audience = try JWTAudience(anyOf: names)
        let verdict = Result {
            try JWTSVID.verify(token, audience: audience, at: CertificateRecipe.now) { _ in bundle }
        }
        switch verdict {
        case .success(let svid): #expect(passes && svid.audience == stated)
        case .failure(let error): #expect(!passes && (error as? SPIFFEError)?.code == .audienceMismatch)
        }
    }

    @Test("C-13 accepts a subject without a path, and shows that it has none")
    func pathless() throws {
        var forge = TokenForge()
        forge.claims["sub"] = .string("spiffe://example.org")
        let svid = try forge.verify()
        #expect(svid.id == (try TrustDomain.example.id))
        #expect(!svid.id.hasPath)
    }

    @Test("JWT-11 hands out every claim, as values and as JSON")
    func claims() throws {
        var forge = TokenForge()
        forge.claims["nbf"] = .integer(Self.now - 5)
        forge.claims["role"] = .string("admin")
        forge.claims["groups"] = .array([.string("x"), .string("y")])
        forge.claims["mixed"] = .array([.string("x"), .integer(1)])
        forge.claims["nothing"] = .null
        forge.claims["flag"] = .bool(true)
        forge.claims["big"] = .integer(Int64.max)
        forge.claims["bigger"] = .integer(UInt64.max)
        forge.claims["share"] = .number("0.5")
        forge.claims["deep"] = .members(["a": .array([.members([:])])])
        let svid = try forge.verify()
        #expect(svid.notBefore == CertificateRecipe.now - 5)
        #expect(svid.issuedAt == CertificateRecipe.now)
        #expect(svid.claim("sub") == .text("spiffe://example.org/w"))
        #expect(svid.claim("role")?.text == "admin")
        #expect(svid.claim("role")?.texts == ["admin"])
        #expect(svid.claim("groups")?.texts == ["x", "y"])
        #expect(svid.claim("groups")?.text == nil)
        #expect(svid.claim("mixed") == .list([.text("x"), .integer(1)]))
        #expect(svid.claim("mixed")?.texts == nil)
        #expect(svid.claim("nothing") == .null)
        #expect(svid.claim("nothing")?.texts == nil)
        #expect(svid.claim("flag") == .bool(true))
        #expect(svid.claim("big") == .integer(.max))
        #expect(svid.claim("bigger") == .number(0x1p64))
        #expect(svid.claim("share") == .number(0.5))
        #expect(svid.claim("deep") == .object(["a": .list([.object([:])])]))
        #expect(svid.claim("Role") == nil)
        #expect(svid.claimsJSON == JSONValue.object(forge.claims).compactText)
        struct Own: Decodable { let role: String }
        #expect(try JSONDecoder().decode(Own.self, from: Data(svid.claimsJSON.utf8)).role == "admin")
    }

    @Test("says nothing about instants that the token does not state")
    func noInstants() throws {
        var forge = TokenForge()
        forge.claims["iat"] = nil
        let svid = try forge.verify()
        #expect(svid.notBefore == nil)
        #expect(svid.issuedAt == nil)
    }

    @Test("finds claims byte for byte, and refuses two spellings of one name")
    func claimNames() throws {
        var forge = TokenForge()
        forge.claims["caf\u{E9}"] = .bool(true)
        let svid = try forge.verify()
        #expect(svid.claim("caf\u{E9}") == .bool(true))
        #expect(svid.claim("cafe\u{301}") == nil)
        let header = JSONValue.object(forge.header).compactText
        let claims = #"{"cafe\u0301":false,"# + JSONValue.object(forge.claims).compactText.dropFirst()
        #expect(refusal(forge, try forge.token(header: header, claims: claims)) == .invalidJWTSVID)
    }

    @Test("J13 compares audiences code point by code point, without normalisation (RFC 7519 §2)")
    func audienceNormalisation() {
        var forge = TokenForge()
        forge.claims["aud"] = .string("caf\u{E9}")
        #expect(throws: Never.self) { try forge.verify(audience: "caf\u{E9}") }
        #expect(refusal(forge, audience: "cafe\u{301}") == .audienceMismatch)
    }

    @Test("J15 takes the leeway that the caller gives", arguments: [0, 5.0])
    func leeway(_ leeway: TimeInterval) throws {
        let forge = TokenForge()
        let (token, bundle) = (try forge.token(), try forge.bundle())
        let end = CertificateRecipe.now + 300
        let last = try JWTSVID.verify(token, audience: "a", at: end + leeway - 1, leeway: leeway) { _ in bundle }
        #expect(last.expiry == end)
        let error = #expect(throws: SPIFFEError.self) {
            try JWTSVID.verify(token, audience: "a", at: end + leeway, leeway: leeway) { _ in bundle }
        }
        #expect(error?.code == .outsideValidity)
    }

    @Test("J20 uses only the bundle of the subject's trust domain, also when another has the same key")
    func foreignBundle() throws {
        let forge = TokenForge()
        #expect(refusal(holding: []) == .unknownTrustDomain)
        #expect(refusal(holding: [try forge.bundle("other.org")]) == .unknownTrustDomain)
        let mislabelled = try forge.bundle("other.org")
        let error = #expect(throws: SPIFFEError.self) {
            try JWTSVID.verify(try forge.token(), audience: "a", at: CertificateRecipe.now) { _ in mislabelled }
        }
        #expect(error?.code == .unknownTrustDomain)
        #expect(
            refusal(holding: [JWTBundle(trustDomain: try TrustDomain("example.org"), authorities: [:])]) == .untrusted)
    }

    @Test(
        "J21 refuses every form but the compact one",
        arguments: [
            "", ".", "..", "...", "a.b", "{}", "a.b.c", #"{"payload":"","signatures":[]}"#,
            #"{"payload":"e30","protected":"e30","signature":"AA"}"#, "e30.e30.AA.AA.AA",
        ])
    func otherForms(_ token: String) {
        #expect(refusal(TokenForge(), token) == .invalidJWTSVID)
    }

    @Test("J21 refuses a sound token with anything added or taken away")
    func altered() throws {
        let token = try TokenForge().token()
        let parts = token.split(separator: ".").map(String.init)
        let alterations = [
            " " + token, token + " ", token + "\n", token + "=", token + ".", "." + token, token + ".AA",
            parts[0] + "." + parts[1], parts[0] + "=." + parts[1] + "." + parts[2], parts[0] + "..",
        ]
        for altered in alterations { #expect(refusal(TokenForge(), altered) == .invalidJWTSVID, "\(altered)") }
    }

    @Test("J21 refuses a header or claims that are not objects")
    func notObjects() throws {
        let forge = TokenForge()
        let (header, claims) = (JSONValue.object(forge.header).compactText, JSONValue.object(forge.claims).compactText)
        for wrong in ["[]", "null", "\"x\"", "1", "", "{", "[\(claims)]"] {
            #expect(refusal(forge, try forge.token(header: wrong, claims: claims)) == .invalidJWTSVID)
            #expect(refusal(forge, try forge.token(header: header, claims: wrong)) == .invalidJWTSVID)
        }
    }

    @Test("refuses tokens that are too long before it looks inside")
    func tooLong() throws {
        var forge = TokenForge()
        forge.claims["pad"] = .string(String(repeating: "x", count: UnverifiedJWTSVID.maximumLength))
        #expect(refusal(forge) == .invalidJWTSVID)
    }

    @Test("J22 refuses a signature that another key made")
    func otherKey() throws {
        let forge = TokenForge()
        let impostor = TokenForge(signer: .p256(P256.Signing.PrivateKey()))
        #expect(refusal(forge, try impostor.token()) == .untrusted)
    }

    @Test("J22 refuses a changed claim, an empty signature and one of the wrong length")
    func tampered() throws {
        let forge = TokenForge()
        let parts = try forge.token().split(separator: ".").map(String.init)
        var other = forge
        other.claims["sub"] = .string("spiffe://example.org/admin")
        let payload = try other.token().split(separator: ".").map(String.init)[1]
        #expect(refusal(forge, [parts[0], payload, parts[2]].joined(separator: ".")) == .untrusted)
        let lengths = [0, 1, 63, 65, 128].map { Base64URL.encode([UInt8](repeating: 1, count: $0)) }
        for signature in lengths {
            #expect(refusal(forge, [parts[0], parts[1], signature].joined(separator: ".")) == .untrusted)
        }
    }

    @Test("J23 refuses an ECDSA signature in DER")
    func derSignature() throws {
        let key = P256.Signing.PrivateKey()
        let forge = TokenForge(signer: .p256(key))
        let parts = try forge.token().split(separator: ".").map(String.init)
        let input = parts[0] + "." + parts[1]
        let der = try key.signature(for: SHA256.hash(data: Data(input.utf8))).derRepresentation
        #expect(refusal(forge, input + "." + Base64URL.encode(der)) == .untrusted)
    }

    @Test("J24 refuses a member named twice in header or claims")
    func duplicates() throws {
        let forge = TokenForge()
        let (header, claims) = (JSONValue.object(forge.header).compactText, JSONValue.object(forge.claims).compactText)
        let twiceAlg = #"{"alg":"none","# + header.dropFirst()
        let twiceSub = #"{"sub":"spiffe://example.org/admin","# + claims.dropFirst()
        let hidden = #"{"\u0073ub":"spiffe://example.org/admin","# + claims.dropFirst()
        #expect(refusal(forge, try forge.token(header: twiceAlg, claims: claims)) == .invalidJWTSVID)
        #expect(refusal(forge, try forge.token(header: header, claims: twiceSub)) == .invalidJWTSVID)
        #expect(refusal(forge, try forge.token(header: header, claims: hidden)) == .invalidJWTSVID)
    }

    @Test("never shows its token, however it is printed")
    func redaction() throws {
        let forge = TokenForge()
        let token = try forge.token()
        let svid = try forge.verify(token)
        let signature = try #require(token.split(separator: ".").last)
        var dumped = ""
        dump(svid, to: &dumped)
        let texts = ["\(svid)", String(reflecting: svid), "\([svid])", "\(Optional.some(svid) as Any)", dumped]
        for text in texts {
            #expect(text.contains("spiffe://example.org/w"))
            #expect(!text.contains(signature))
        }
        #expect("\(svid)" == "JWTSVID(spiffe://example.org/w, token: <redacted>)")
    }

    @Test("never repeats a token in an error")
    func errorText() throws {
        let forge = TokenForge()
        let token = try forge.token()
        for (audience, bundles) in [("b", [try forge.bundle()]), ("a", []), ("a", [try forge.bundle(keyID: "k2")])] {
            let error = #expect(throws: SPIFFEError.self) {
                try forge.verify(token, audience: audience, holding: bundles)
            }
            let text = try #require(error?.description)
            #expect(token.split(separator: ".").allSatisfy { !text.contains($0) })
        }
    }
}
