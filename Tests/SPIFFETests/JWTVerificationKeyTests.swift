import Crypto
import CryptoExtras
import Foundation
import SPIFFE
import TestSupport
import Testing

@Suite("JWT signature algorithms")
struct JWTAlgorithmTests {
    private static let p256 = TokenForge.Signer.p256(P256.Signing.PrivateKey())
    private static let p384 = TokenForge.Signer.p384(P384.Signing.PrivateKey())
    private static let p521 = TokenForge.Signer.p521(P521.Signing.PrivateKey())

    private static func signers() throws -> [(String, TokenForge.Signer, Set<JWTAlgorithm>)] {
        [
            ("P-256", p256, [.es256]), ("P-384", p384, [.es384]), ("P-521", p521, [.es512]),
            (
                "RSA", .rsa(try RSAKeys.shared.get()), [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
            ),
        ]
    }

    @Test("J01 verifies each of the nine algorithms with the key it belongs to", arguments: JWTAlgorithm.allCases)
    func verifies(_ algorithm: JWTAlgorithm) throws {
        let (_, signer, _) = try #require(try Self.signers().first { $0.2.contains(algorithm) })
        let forge = TokenForge(signer: signer, algorithm: algorithm)
        #expect(try forge.verify().id.path == "/w")
        let parts = try forge.token().split(separator: ".").map(String.init)
        var signature = try #require(Base64URL.decode(parts[2].utf8))
        signature[signature.count / 2] ^= 1
        let tampered = [parts[0], parts[1], Base64URL.encode(signature)].joined(separator: ".")
        let error = #expect(throws: SPIFFEError.self) { try forge.verify(tampered) }
        #expect(error?.code == .untrusted)
    }

    @Test("J07 refuses every algorithm that does not fit the key", arguments: JWTAlgorithm.allCases)
    func mismatch(_ algorithm: JWTAlgorithm) throws {
        var misfits = 0
        for (name, signer, fitting) in try Self.signers() {
            let key = try signer.verificationKey
            #expect(key.supports(algorithm) == fitting.contains(algorithm), "\(name)")
            guard !fitting.contains(algorithm) else { continue }
            misfits += 1
            let forge = TokenForge(signer: signer, algorithm: algorithm)
            let error = #expect(throws: SPIFFEError.self, "\(name)") { try forge.verify() }
            #expect(error?.code == .untrusted, "\(name)")
            let input = Data("input".utf8)
            let signature = try signer.signature(for: input, algorithm)
            #expect(!key.isValidSignature(signature, for: input, algorithm: algorithm), "\(name)")
        }
        #expect(misfits == 3)
    }

    @Test("J07 refuses a signature that was made with another of the key's own algorithms")
    func relabelled() throws {
        let signer = TokenForge.Signer.rsa(try RSAKeys.shared.get())
        let key = try signer.verificationKey
        let input = Data("input".utf8)
        let own: [JWTAlgorithm] = [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
        for made in own {
            let signature = try signer.signature(for: input, made)
            for claimed in own {
                #expect(key.isValidSignature(signature, for: input, algorithm: claimed) == (claimed == made))
            }
        }
    }

    @Test("JWT-03 knows the nine names and no other")
    func names() {
        let names = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"]
        #expect(JWTAlgorithm.allCases.map(\.rawValue) == names)
    }
}

@Suite("JWT verification keys")
struct JWTVerificationKeyTests {
    private static func keys() throws -> [JWTVerificationKey] {
        [
            try JWTVerificationKey(derRepresentation: P256.Signing.PrivateKey().publicKey.derRepresentation),
            try JWTVerificationKey(derRepresentation: P384.Signing.PrivateKey().publicKey.derRepresentation),
            try JWTVerificationKey(derRepresentation: P521.Signing.PrivateKey().publicKey.derRepresentation),
            try JWTVerificationKey(derRepresentation: try RSAKeys.shared.get().publicKey.derRepresentation),
        ]
    }

    @Test("reads back the JWK it wrote, for every kind of key")
    func jwkRoundTrip() throws {
        let keys = try Self.keys()
        for key in keys {
            let again = try JWTVerificationKey(jwk: JSONObject(key.jwkMembers))
            #expect(again == key)
            #expect(again.hashValue == key.hashValue)
        }
        #expect(
            keys.map { $0.jwkMembers.map(\.0) }.map { $0.joined(separator: " ") } == [
                "kty crv x y", "kty crv x y", "kty crv x y", "kty n e",
            ])
        #expect(Set(keys).count == keys.count)
    }

    @Test("writes coordinates in full width, also where they begin with zeros")
    func fullWidth() throws {
        for _ in 0..<600 {
            let key = try JWTVerificationKey(derRepresentation: P256.Signing.PrivateKey().publicKey.derRepresentation)
            let members = JSONObject(key.jwkMembers)
            #expect(members["x"]?.string?.utf8.count == 43)
            #expect(members["y"]?.string?.utf8.count == 43)
        }
    }

    @Test("reads the keys of RFC 7515 and verifies what they signed", arguments: rfcVectors)
    func rfc7515(_ jwk: String, _ token: String, _ algorithm: JWTAlgorithm) throws {
        let members = try #require(try JSONValue(parsing: jwk.utf8).object)
        let key = try JWTVerificationKey(jwk: members)
        let parts = token.split(separator: ".").map(String.init)
        let signature = Data(try #require(Base64URL.decode(parts[2].utf8)))
        let input = Data((parts[0] + "." + parts[1]).utf8)
        #expect(key.isValidSignature(signature, for: input, algorithm: algorithm))
        #expect(!key.isValidSignature(signature, for: input + [0], algorithm: algorithm))
    }

    /// RFC 7515 appendices A.2 and A.3.
    private static let rfcVectors: [(String, String, JWTAlgorithm)] = [
        (
            """
            {"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d\
            4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-\
            UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91k\
            zk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}
            """,
            """
            eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
            cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1\
            dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDw\
            usC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw
            """, .rs256
        ),
        (
            """
            {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
            """,
            """
            eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
            DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q
            """, .es256
        ),
    ]

    @Test(
        "B13 refuses keys that no permitted algorithm can use, and malformed ones",
        arguments: [
            #"{}"#, #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            #"{"kty":"oct","k":"AAAA"}"#, #"{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}"#, #"{"kty":"EC"}"#,
            #"{"kty":"ec","crv":"P-256"}"#, #"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#,
            // Not a point on the curve.
            """
            {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",\
            "y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}
            """,
            // A curve of the right width that is not permitted.
            """
            {"kty":"EC","crv":"secp256k1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",\
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
            """,
            // The right bytes, split at the wrong place.
            """
            {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVA",\
            "y":"RcfxRM0bvZt-hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt"}
            """,
            #"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, #"{"kty":"RSA","n":"AQAB"}"#, #"{"kty":"RSA","n":"!","e":"AQAB"}"#,
        ])
    func refusesJWK(_ text: String) throws {
        let jwk = try #require(try JSONValue(parsing: text.utf8).object)
        let error = #expect(throws: SPIFFEError.self) { try JWTVerificationKey(jwk: jwk) }
        #expect(error?.code == .invalidBundle)
    }

    @Test("B13 refuses DER that is no key, of no permitted kind, or too weak")
    func refusesDER() throws {
        let weak = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024)).publicKey.derRepresentation
        let ed25519 =
            Data([0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00])
            + Curve25519.Signing.PrivateKey().publicKey.rawRepresentation
        for der in [Data(), Data([0x30, 0x00]), weak, ed25519, P256.Signing.PrivateKey().derRepresentation] {
            let error = #expect(throws: SPIFFEError.self) { try JWTVerificationKey(derRepresentation: der) }
            #expect(error?.code == .invalidBundle)
        }
    }
}
