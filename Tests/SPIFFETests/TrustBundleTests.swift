import Crypto
import CryptoExtras
import Foundation
import SPIFFE
import TestSupport
import Testing
import X509

@Suite("Trust bundles")
struct TrustBundleTests {
    private static let ca = Result { try TestCA() }
    private static let jwtKey = P256.Signing.PrivateKey()

    private static func key() throws -> JWTVerificationKey {
        try JWTVerificationKey(derRepresentation: jwtKey.publicKey.derRepresentation)
    }

    private static func x509JWK(_ certificate: Certificate, _ change: (inout JSONObject) -> Void = { _ in }) throws
        -> JSONValue
    {
        let bundle = TrustBundle(
            trustDomain: try TrustDomain.example, x509Authorities: [certificate], jwtAuthorities: [:])
        var jwk = try #require(try bundle.spiffeDocument().object?["keys"]?.array?.first?.object)
        change(&jwk)
        return .object(jwk)
    }

    private static func jwtJWK(_ change: (inout JSONObject) -> Void = { _ in }) throws -> JSONValue {
        var jwk = JSONObject(try key().jwkMembers + [("use", .string("jwt-svid")), ("kid", .string("k1"))])
        change(&jwk)
        return .object(jwk)
    }

    private func read(_ keys: [JSONValue], _ more: (inout JSONObject) -> Void = { _ in }) throws -> TrustBundle {
        var document = JSONObject([("keys", .array(keys))])
        more(&document)
        return try TrustBundle(json: JSONValue.object(document).compactText.utf8, trustDomain: TrustDomain.example)
    }

    @Test("B01 X509-37 reads an empty list of keys as a bundle that revokes everything")
    func empty() throws {
        let bundle = try TrustBundle(json: #"{"keys":[]}"#.utf8, trustDomain: TrustDomain.example)
        #expect(bundle.trustDomain.name == "example.org")
        #expect(bundle.x509.authorities.isEmpty)
        #expect(bundle.jwt.authorities.isEmpty)
        #expect(bundle.sequence == nil)
        #expect(bundle.refreshHint == nil)
        #expect(try bundle.spiffeDocument().compactText == #"{"keys":[]}"#)
        #expect(bundle.jwkSet.compactText == #"{"keys":[]}"#)
    }

    @Test(
        "B02 refuses a document without a list of keys",
        arguments: [
            (#"{"keys":null}"#, .invalidBundle), ("{}", .invalidBundle), (#"{"spiffe_sequence":1}"#, .invalidBundle),
            (#"{"keys":{}}"#, .invalidBundle), (#"{"keys":"x"}"#, .invalidBundle), ("[]", .invalidBundle),
            ("null", .invalidBundle), ("", .invalidJSON), ("{", .invalidJSON),
            (#"{"keys":[],"keys":[]}"#, .invalidJSON),
        ] as [(String, SPIFFEError.Code)])
    func refuses(_ text: String, _ code: SPIFFEError.Code) {
        let error = #expect(throws: SPIFFEError.self) {
            try TrustBundle(json: text.utf8, trustDomain: TrustDomain.example)
        }
        #expect(error?.code == code)
    }

    @Test(
        "B03, B04, B05, B13 skips keys it cannot use and keeps the others",
        arguments: [
            ("B03", #"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA","use":"jwt-svid","kid":"x"}"#),
            ("B03", #"{"kty":"XYZ","use":"x509-svid","x5c":["AAAA"]}"#), ("B03", #"{"use":"jwt-svid","kid":"x"}"#),
            ("B04", #"{"kty":"EC","use":"foo-svid","kid":"x"}"#), ("B04", #"{"kty":"EC","use":"JWT-SVID","kid":"x"}"#),
            ("B04", #"{"kty":"EC","kid":"x"}"#), ("B04", #"{"kty":"EC","use":null,"kid":"x"}"#),
            ("B05", #"{"kty":"EC","use":"wit-svid"}"#),
            ("B13", #"{"kty":"OKP","crv":"Ed25519","x":"AA","use":"jwt-svid","kid":"x"}"#),
            ("B13", #"{"kty":"oct","k":"AAAA","use":"jwt-svid","kid":"x"}"#), ("B03", "{}"), ("B03", "null"),
            ("B03", "[]"), ("B03", #""x""#),
        ])
    func skips(_ row: String, _ text: String) throws {
        let stranger = try JSONValue(parsing: text.utf8)
        let certificate = try Self.ca.get().certificate
        let bundle = try read([stranger, try Self.x509JWK(certificate), stranger, try Self.jwtJWK(), stranger])
        #expect(bundle.x509.authorities == [certificate], "\(row)")
        #expect(bundle.jwt.authorities == ["k1": try Self.key()], "\(row)")
    }

    @Test(
        "B04 does not guess a use that is spelt otherwise",
        arguments: ["JWT-SVID", "jwt", "sig", "x509-svid", "wit-svid", ""])
    func otherUse(_ use: String) throws {
        let bundle = try read([try Self.jwtJWK { $0["use"] = .string(use) }])
        #expect(bundle.jwt.authorities.isEmpty)
        #expect(bundle.x509.authorities.isEmpty)
    }

    @Test("B05 never uses a JWT key without a key ID")
    func noKeyID() throws {
        let nameless = [JSONValue?.none, .string(""), .null, .integer(1)]
        for keyID in nameless {
            #expect(try read([try Self.jwtJWK { $0["kid"] = keyID }]).jwt.authorities.isEmpty)
        }
    }

    @Test("B06 X509-35 skips an X.509 entry without a certificate")
    func noCertificate() throws {
        let certificate = try Self.ca.get().certificate
        let missing = [JSONValue?.none, .null, .array([]), .string("AAAA"), .array([.null]), .array([.string("!")])]
        for x5c in missing {
            let bundle = try read([try Self.x509JWK(certificate) { $0["x5c"] = x5c }, try Self.x509JWK(certificate)])
            #expect(bundle.x509.authorities == [certificate])
        }
    }

    @Test("B07 X509-36 uses the first of several certificates")
    func severalCertificates() throws {
        let (first, second) = (try Self.ca.get().certificate, try TestCA(commonName: "second").certificate)
        let bundle = try read([
            try Self.x509JWK(first) { jwk in
                let x5c = [first, second].map {
                    JSONValue.string(Data((try? $0.derBytes()) ?? []).base64EncodedString())
                }
                jwk["x5c"] = .array(x5c)
            }
        ])
        #expect(bundle.x509.authorities == [first])
    }

    @Test("B08 tolerates a key ID on an X.509 entry")
    func x509WithKeyID() throws {
        let certificate = try Self.ca.get().certificate
        let bundle = try read([try Self.x509JWK(certificate) { $0["kid"] = .string("k1") }])
        #expect(bundle.x509.authorities == [certificate])
        #expect(bundle.jwt.authorities.isEmpty)
    }

    @Test("B09 drops an entry whose key is not its certificate's")
    func keyMismatch() throws {
        let (certificate, other) = (try Self.ca.get().certificate, try TestCA().certificate)
        let entry = try Self.x509JWK(certificate)
        let stranger = try #require(try Self.x509JWK(other).object?["x5c"])
        let bundle = try read([entry, try Self.x509JWK(certificate) { $0["x5c"] = stranger }])
        #expect(bundle.x509.authorities == [certificate])
        let keyless = try Self.x509JWK(certificate) { $0["x"] = nil }
        #expect(try read([keyless]).x509.authorities.isEmpty)
    }

    @Test("B10 never takes a WIT key for a JWT key, whatever key ID they share")
    func sharedKeyID() throws {
        let other = try JWTVerificationKey(derRepresentation: P256.Signing.PrivateKey().publicKey.derRepresentation)
        let wit = JSONValue.object(
            JSONObject(other.jwkMembers + [("use", .string("wit-svid")), ("kid", .string("k1"))]))
        for keys in [[try Self.jwtJWK(), wit], [wit, try Self.jwtJWK()]] {
            #expect(try read(keys).jwt.authorities == ["k1": try Self.key()])
        }
    }

    @Test(
        "B11 refuses a sequence or refresh hint that is not a whole number",
        arguments: ["-1", "1.5", "\"1\"", "null", "true", "18446744073709551616", "[]"])
    func badCounter(_ text: String) throws {
        let value = try JSONValue(parsing: text.utf8)
        for name in ["spiffe_sequence", "spiffe_refresh_hint"] {
            let error = #expect(throws: SPIFFEError.self) { try read([]) { $0[name] = value } }
            #expect(error?.code == .invalidBundle)
        }
    }

    @Test("B12 holds a sequence of 64 bits", arguments: [0, 1 << 63, UInt64.max])
    func sequence(_ sequence: UInt64) throws {
        let bundle = try read([]) { $0["spiffe_sequence"] = .integer(sequence) }
        #expect(bundle.sequence == sequence)
        #expect(try bundle.spiffeDocument().compactText == #"{"keys":[],"spiffe_sequence":\#(sequence)}"#)
    }

    @Test("C-06, C-07 takes a root without a SPIFFE ID, or with one that ends in a slash")
    func unnamedRoots() throws {
        let roots = [
            try TestCA { $0.uris = [] }.certificate, try TestCA { $0.uris = ["spiffe://example.org/"] }.certificate,
        ]
        #expect(try read(try roots.map { try Self.x509JWK($0) }).x509.authorities == roots)
    }

    @Test("BUNDLE-16 believes no token of a domain whose bundle is empty")
    func emptyRevokes() throws {
        let error = #expect(throws: SPIFFEError.self) { try TokenForge().verify(holding: [try read([]).jwt]) }
        #expect(error?.code == .untrusted)
    }

    @Test("BUNDLE-13 works whatever other members there are")
    func extraMembers() throws {
        let bundle = try read([try Self.jwtJWK { $0["alg"] = .string("ES256") }]) { document in
            document["issuer"] = .string("x")
            document["spiffe_foo"] = .members([:])
        }
        #expect(bundle.jwt.authorities.count == 1)
    }

    @Test("refuses a document that is too large")
    func tooLarge() {
        let text = #"{"keys":[],"pad":"\#(String(repeating: "x", count: 4 << 20))"}"#
        let error = #expect(throws: SPIFFEError.self) {
            try TrustBundle(json: text.utf8, trustDomain: TrustDomain.example)
        }
        #expect(error?.code == .invalidJSON)
    }

    @Test("reads back the document it wrote, with every kind of key")
    func roundTrip() throws {
        let certificates = [try Self.ca.get().certificate, try TestCA(commonName: "next").certificate]
        let keys = [
            "p256": try Self.key(),
            "p384": try JWTVerificationKey(derRepresentation: P384.Signing.PrivateKey().publicKey.derRepresentation),
            "p521": try JWTVerificationKey(derRepresentation: P521.Signing.PrivateKey().publicKey.derRepresentation),
            "rsa": try JWTVerificationKey(derRepresentation: try RSAKeys.shared.get().publicKey.derRepresentation),
        ]
        let bundle = TrustBundle(
            trustDomain: try TrustDomain.example, x509Authorities: certificates, jwtAuthorities: keys, sequence: 7,
            refreshHint: 300)
        let document = try bundle.spiffeDocument()
        for text in [document.compactText, document.prettyText] {
            #expect(try TrustBundle(json: text.utf8, trustDomain: TrustDomain.example) == bundle)
        }
        #expect(try bundle.json() == document.compactText)
    }

    @Test("BUNDLE-07..10 and X509-31..33 writes what a publisher must and nothing else")
    func published() throws {
        let bundle = TrustBundle(
            trustDomain: try TrustDomain.example, x509Authorities: [try Self.ca.get().certificate],
            jwtAuthorities: ["b": try Self.key(), "a": try Self.key()], sequence: 1, refreshHint: 300)
        let document = try #require(try bundle.spiffeDocument().object)
        #expect(document.map(\.name) == ["keys", "spiffe_sequence", "spiffe_refresh_hint"])
        let array = try #require(document["keys"]?.array)
        let keys = array.compactMap(\.object)
        #expect(
            keys.map { $0.map(\.name).joined(separator: " ") } == [
                "kty crv x y use x5c", "kty crv x y use kid", "kty crv x y use kid",
            ])
        #expect(keys.map { $0["use"]?.string } == ["x509-svid", "jwt-svid", "jwt-svid"])
        #expect(keys.map { $0["kid"]?.string } == [nil, "a", "b"])
        #expect(keys[0]["x5c"]?.array?.count == 1)
    }

    @Test("WLAPI-24 hands workloads a JWK Set of JWT keys alone, each with its key ID and without a use")
    func jwkSet() throws {
        let bundle = TrustBundle(
            trustDomain: try TrustDomain.example, x509Authorities: [try Self.ca.get().certificate],
            jwtAuthorities: ["k2": try Self.key(), "k1": try Self.key()], sequence: 1, refreshHint: 300)
        let document = try #require(bundle.jwkSet.object)
        #expect(document.map(\.name) == ["keys"])
        let array = try #require(document["keys"]?.array)
        let keys = array.compactMap(\.object)
        #expect(keys.map { $0["kid"]?.string } == ["k1", "k2"])
        for key in keys { #expect(key.map(\.name) == ["kty", "crv", "x", "y", "kid"]) }
        #expect(!bundle.jwkSet.compactText.contains("x5c"))
    }
}

@Suite("Trust bundles as PEM")
struct TrustBundlePEMTests {
    private static let ca = Result { try TestCA() }

    @Test("reads back the certificates it wrote, in order")
    func roundTrip() throws {
        let certificates = [try Self.ca.get().certificate, try TestCA(commonName: "next").certificate]
        let bundle = TrustBundle(
            trustDomain: try TrustDomain.example, x509Authorities: certificates, jwtAuthorities: [:])
        let text = try bundle.pemText()
        #expect(text.hasSuffix("-----END CERTIFICATE-----\n"))
        #expect(try TrustBundle(pem: text, trustDomain: TrustDomain.example) == bundle)
        #expect(try TrustBundle(pem: "# roots\n\n" + text + "\n", trustDomain: TrustDomain.example) == bundle)
    }

    @Test("FED-23 gives no JWT authorities")
    func noJWT() throws {
        let bundle = try TrustBundle(pem: try Self.ca.get().certificate.pemText(), trustDomain: TrustDomain.example)
        #expect(bundle.jwt.authorities.isEmpty)
        #expect(bundle.jwt.trustDomain.name == "example.org")
        #expect(bundle.sequence == nil)
    }

    @Test("refuses what holds no certificate, or something else")
    func refuses() throws {
        let key = Self.pem("PUBLIC KEY", P256.Signing.PrivateKey().publicKey.derRepresentation)
        let sound = try Self.ca.get().certificate.pemText()
        let texts = [
            "", "x", "{}", key, sound + key, String(sound.dropLast(40)), Self.pem("CERTIFICATE", Data([0x30, 0x00])),
        ]
        for text in texts {
            let error = #expect(throws: SPIFFEError.self) {
                try TrustBundle(pem: text, trustDomain: TrustDomain.example)
            }
            #expect(error?.code == .invalidBundle)
        }
    }

    private static func pem(_ label: String, _ der: Data) -> String {
        "-----BEGIN \(label)-----\n\(der.base64EncodedString())\n-----END \(label)-----\n"
    }
}
