import Crypto
import CryptoExtras
import Foundation
import SPIFFE
import TestSupport

/// Makes tokens by hand, sound ones and others.
struct TokenForge: Sendable {
    /// A private key, and how it signs for JWS.
    enum Signer: Sendable {
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case rsa(_RSA.Signing.PrivateKey)

        /// SubjectPublicKeyInfo, DER.
        var publicKeyDER: Data {
            switch self {
            case .p256(let key): key.publicKey.derRepresentation
            case .p384(let key): key.publicKey.derRepresentation
            case .p521(let key): key.publicKey.derRepresentation
            case .rsa(let key): key.publicKey.derRepresentation
            }
        }

        /// What a verifier holds.
        var verificationKey: JWTVerificationKey {
            get throws { try JWTVerificationKey(derRepresentation: publicKeyDER) }
        }

        /// A signature as JWS wants it; the digest goes by the algorithm, whether or not it fits the key.
        func signature(for input: Data, _ algorithm: JWTAlgorithm) throws -> Data {
            switch algorithm {
            case .rs256, .es256, .ps256: try sign(SHA256.hash(data: input), algorithm)
            case .rs384, .es384, .ps384: try sign(SHA384.hash(data: input), algorithm)
            case .rs512, .es512, .ps512: try sign(SHA512.hash(data: input), algorithm)
            }
        }

        private func sign(_ digest: some Digest, _ algorithm: JWTAlgorithm) throws -> Data {
            switch self {
            case .p256(let key): return try key.signature(for: digest).rawRepresentation
            case .p384(let key): return try key.signature(for: digest).rawRepresentation
            case .p521(let key): return try key.signature(for: digest).rawRepresentation
            case .rsa(let key):
                let isPSS = [.ps256, .ps384, .ps512].contains(algorithm)
                return try key.signature(for: digest, padding: isPSS ? .PSS : .insecurePKCS1v1_5).rawRepresentation
            }
        }
    }

    static let now = CertificateRecipe.now.timeIntervalSince1970

    var signer = Signer.p256(Self.key)
    var algorithm = JWTAlgorithm.es256
    var header: JSONObject
    var claims: JSONObject

    private static let key = P256.Signing.PrivateKey()

    /// A sound token: ES256, key k1, for `a`, from `spiffe://example.org/w`, good for five minutes.
    init(signer: Signer = .p256(Self.key), algorithm: JWTAlgorithm = .es256) {
        (self.signer, self.algorithm) = (signer, algorithm)
        header = JSONObject([("alg", .string(algorithm.rawValue)), ("kid", .string("k1"))])
        claims = JSONObject([
            ("sub", .string("spiffe://example.org/w")), ("aud", .array([.string("a")])),
            ("exp", .integer(Int(Self.now) + 300)), ("iat", .integer(Int(Self.now))),
        ])
    }

    /// The compact serialization.
    func token() throws -> String {
        try token(header: JSONValue.object(header).compactText, claims: JSONValue.object(claims).compactText)
    }

    /// The compact serialization of any texts, signed.
    func token(header: String, claims: String) throws -> String {
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(claims.utf8))
        return input + "." + Base64URL.encode(try signer.signature(for: Data(input.utf8), algorithm))
    }

    /// The bundle that vouches for the signer under k1, and for nothing else.
    func bundle(_ trustDomain: String = "example.org", keyID: String = "k1") throws -> JWTBundle {
        JWTBundle(trustDomain: try TrustDomain(trustDomain), authorities: [keyID: try signer.verificationKey])
    }

    /// Verifies a token as the service `a` does.
    func verify(
        _ token: String? = nil, audience: String = "a", after seconds: TimeInterval = 0,
        holding bundles: [JWTBundle]? = nil
    ) throws -> JWTSVID {
        let held = try bundles ?? [bundle()]
        return try JWTSVID.verify(
            try token ?? self.token(), audience: audience, at: CertificateRecipe.now + seconds
        ) { domain in held.first { $0.trustDomain == domain } }
    }
}
