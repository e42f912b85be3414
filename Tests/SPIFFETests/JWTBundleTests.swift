import Crypto
import CryptoExtras
import Foundation
import SPIFFE
import TestSupport
import Testing

@Suite("JWT bundles as JWK Sets")
struct JWTBundleTests {
    private static let jwtKey = P256.Signing.PrivateKey()

    private static func key() throws -> JWTVerificationKey {
        try JWTVerificationKey(derRepresentation: jwtKey.publicKey.derRepresentation)
    }

    private static func jwk(
        _ key: JWTVerificationKey? = nil, _ change: (inout JSONObject) -> Void = { _ in }
    ) throws -> JSONValue {
        var jwk = JSONObject(try (key ?? self.key()).jwkMembers + [("kid", .string("k1"))])
        change(&jwk)
        return .object(jwk)
    }

    private func read(_ keys: [JSONValue]) throws -> JWTBundle {
        let text = JSONValue.members(["keys": .array(keys)]).compactText
        return try JWTBundle(jwkSet: text.utf8, trustDomain: TrustDomain.example)
    }

    @Test("C-11 takes keys without a use and keys of use jwt-svid")
    func uses() throws {
        for use in [JSONValue?.none, .string("jwt-svid")] {
            #expect(try read([try Self.jwk { $0["use"] = use }]).authorities == ["k1": try Self.key()])
        }
    }

    @Test(
        "skips keys it must not use, and keeps the others",
        arguments: [
            ("B03", #"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA","kid":"x"}"#), ("B03", #"{"kid":"x"}"#),
            ("B03", #""x""#), ("B03", "null"), ("B13", #"{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"x"}"#),
            ("B13", #"{"kty":"oct","k":"AAAA","kid":"x"}"#),
        ])
    func skips(_ row: String, _ text: String) throws {
        let stranger = try JSONValue(parsing: text.utf8)
        #expect(try read([stranger, try Self.jwk(), stranger]).authorities == ["k1": try Self.key()], "\(row)")
    }

    @Test(
        "GS-15 takes no key that is meant for something else, whatever its key ID",
        arguments: [
            ("B04", .string("x509-svid")), ("B04", .string("wit-svid")), ("B04", .string("JWT-SVID")),
            ("B04", .string("sig")), ("B04", .string("")), ("B04", .null), ("B04", .array([.string("jwt-svid")])),
        ] as [(String, JSONValue)])
    func otherUse(_ row: String, _ use: JSONValue) throws {
        #expect(try read([try Self.jwk { $0["use"] = use }]).authorities.isEmpty, "\(row)")
    }

    @Test("B05 takes no key without a key ID", arguments: [nil, .string(""), .null, .integer(1)] as [JSONValue?])
    func noKeyID(_ keyID: JSONValue?) throws {
        #expect(try read([try Self.jwk { $0["kid"] = keyID }]).authorities.isEmpty)
    }

    @Test("B10 takes neither of two different keys with one key ID, and one that is listed twice")
    func duplicateKeyIDs() throws {
        let other = try JWTVerificationKey(derRepresentation: P256.Signing.PrivateKey().publicKey.derRepresentation)
        let third = try Self.jwk(other) { $0["kid"] = .string("k2") }
        let (one, two) = (try Self.jwk(), try Self.jwk(other))
        for keys in [[one, two, third], [two, third, one], [one, two, one, third]] {
            #expect(try read(keys).authorities == ["k2": other])
        }
        #expect(try read([one, one]).authorities == ["k1": try Self.key()])
        let document =
            #"{"keys":[\#(one.compactText.dropLast()),"use":"jwt-svid"},\#(two.compactText.dropLast()),"use":"jwt-svid"}]}"#
        #expect(try TrustBundle(json: document.utf8, trustDomain: TrustDomain.example).jwt.authorities.isEmpty)
    }

    @Test(
        "B02 refuses a document without a list of keys",
        arguments: [
            (#"{"keys":null}"#, .invalidBundle), ("{}", .invalidBundle), ("[]", .invalidBundle), ("", .invalidJSON),
            (#"{"keys":[],"keys":[]}"#, .invalidJSON),
        ] as [(String, SPIFFEError.Code)])
    func refuses(_ text: String, _ code: SPIFFEError.Code) {
        let error = #expect(throws: SPIFFEError.self) {
            try JWTBundle(jwkSet: text.utf8, trustDomain: TrustDomain.example)
        }
        #expect(error?.code == code)
    }

    @Test("B01 reads and writes an empty set")
    func empty() throws {
        let bundle = try JWTBundle(jwkSet: #"{"keys":[]}"#.utf8, trustDomain: TrustDomain.example)
        #expect(bundle.authorities.isEmpty)
        #expect(bundle.trustDomain == (try TrustDomain.example))
        #expect(bundle.jwkSetJSON() == #"{"keys":[]}"#)
    }

    @Test("reads back the set it wrote")
    func roundTrip() throws {
        let bundle = JWTBundle(
            trustDomain: try TrustDomain.example,
            authorities: [
                "a": try Self.key(),
                "b": try JWTVerificationKey(derRepresentation: P521.Signing.PrivateKey().publicKey.derRepresentation),
                "c": try JWTVerificationKey(derRepresentation: try RSAKeys.shared.get().publicKey.derRepresentation),
            ])
        #expect(try JWTBundle(jwkSet: bundle.jwkSetJSON().utf8, trustDomain: TrustDomain.example) == bundle)
    }

    @Test("J06 verifies nothing with a WIT key, nor with one that is named in another spelling")
    func otherKeys() throws {
        let signer = TokenForge.Signer.p256(Self.jwtKey)
        var forge = TokenForge(signer: signer)
        let wit = try Self.jwk { $0["use"] = .string("wit-svid") }
        let witBundle = try TrustBundle(
            json: JSONValue.members(["keys": .array([wit])]).compactText.utf8, trustDomain: TrustDomain.example)
        let refusal = #expect(throws: SPIFFEError.self) { try forge.verify(holding: [witBundle.jwt]) }
        #expect(refusal?.code == .untrusted)
        forge.header["kid"] = .string("caf\u{E9}")
        #expect(throws: Never.self) { try forge.verify(holding: [try forge.bundle(keyID: "caf\u{E9}")]) }
        let spelling = #expect(throws: SPIFFEError.self) {
            try forge.verify(holding: [try forge.bundle(keyID: "cafe\u{301}")])
        }
        #expect(spelling?.code == .untrusted)
    }
}

@Suite("Tokens of another implementation")
struct ForeignTokenTests {
    @Test(
        "J01 verifies what PyJWT signed, with keys in the JWK form that it was given", arguments: ForeignTokens.tokens)
    func verifies(_ algorithm: JWTAlgorithm, _ token: String) throws {
        let bundle = try JWTBundle(jwkSet: ForeignTokens.jwkSet.utf8, trustDomain: TrustDomain.example)
        #expect(bundle.authorities.keys.sorted() == ["p256", "p384", "p521", "rsa"])
        let instant = Date(timeIntervalSince1970: 1_800_000_000)
        let svid = try JWTSVID.verify(token, audience: "ledger", at: instant) { _ in bundle }
        #expect(svid.id.description == "spiffe://example.org/payments")
        #expect(svid.claim("alg_used") == .text(algorithm.rawValue))
        #expect(svid.expiry == Date(timeIntervalSince1970: 4_102_444_800))
        for other in ForeignTokens.tokens where other.0 != algorithm {
            // The signature of one token under the header and claims of another.
            let parts = other.1.split(separator: ".")
            let signature = try #require(token.split(separator: ".").last)
            let error = #expect(throws: SPIFFEError.self) {
                try JWTSVID.verify("\(parts[0]).\(parts[1]).\(signature)", audience: "ledger", at: instant) { _ in
                    bundle
                }
            }
            #expect(error?.code == .untrusted)
        }
    }

    @Test("JWT-03 covers all nine algorithms")
    func complete() {
        #expect(Set(ForeignTokens.tokens.map(\.0)) == Set(JWTAlgorithm.allCases))
    }
}
