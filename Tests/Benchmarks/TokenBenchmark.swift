import Crypto
import Foundation
import SPIFFE

/// What a service does for each caller that shows a token, with the floor of one signature check beside it.
///
/// Floor and token take turns, so that whatever else the machine does falls on both.
enum TokenBenchmark {
    static func run(count: Int) async throws -> [[String]] {
        let token = try SampleToken()
        let rounds = count * 20
        var (floor, whole): ([Duration], [Duration]) = ([], [])
        for number in -100..<rounds {
            let bare = try elapsed { guard token.isSignatureValid() else { throw TokenBenchmarkError.refused } }
            let full = try elapsed { _ = try token.verified() }
            guard number >= 0 else { continue }
            floor.append(bare)
            whole.append(full)
        }
        let measured = [
            Measurement(name: "floor: one P-256 verification", samples: floor, elapsed: floor.reduce(.zero, +)),
            Measurement(name: "ES256 JWT-SVID -> identity", samples: whole, elapsed: whole.reduce(.zero, +)),
        ]
        let ratio = measured[0].quantile(0.5) / measured[1].quantile(0.5)
        return measured.map(\.row) + [
            ["- allocations of it", "", "", "\(try await Meter.allocations { _ = try token.verified() })", ""],
            ["- its rate, in parts of that of one signature", "", "", "\(Int(ratio * 100)) %", ""],
        ]
    }

    private static func elapsed(_ body: () throws -> Void) rethrows -> Duration {
        try ContinuousClock().measure { try body() }
    }
}

enum TokenBenchmarkError: Error {
    case refused
}

/// A token like those that the issuer signs, and the key that vouches for it.
struct SampleToken {
    let text: String
    let instant = Date(timeIntervalSince1970: 1_900_000_000)
    private let key: P256.Signing.PublicKey
    private let signature: P256.Signing.ECDSASignature
    private let digest: SHA256.Digest
    private let bundle: JWTBundle

    init() throws {
        let key = P256.Signing.PrivateKey()
        let header = #"{"alg":"ES256","kid":"vGkyLC1CVWJbFwSLyYAYYg","typ":"JWT"}"#
        let claims = """
            {"sub":"spiffe://example.org/ns/payments/sa/orders","aud":["ledger.example.org"],"exp":1900000300,\
            "iat":1900000000,"jti":"kO8BvCJ4sWsKfGLXnhbcYg"}
            """
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(claims.utf8))
        digest = SHA256.hash(data: Data(input.utf8))
        signature = try key.signature(for: digest)
        text = input + "." + Base64URL.encode(signature.rawRepresentation)
        self.key = key.publicKey
        bundle = JWTBundle(
            trustDomain: try TrustDomain("example.org"),
            authorities: [
                "vGkyLC1CVWJbFwSLyYAYYg": try JWTVerificationKey(derRepresentation: key.publicKey.derRepresentation)
            ])
    }

    /// The mathematics alone: no parsing, and the digest at hand.
    func isSignatureValid() -> Bool { key.isValidSignature(signature, for: digest) }

    /// All that stands between a header and an identity.
    func verified() throws -> JWTSVID {
        try JWTSVID.verify(text, audience: "ledger.example.org", at: instant) {
            $0 == bundle.trustDomain ? bundle : nil
        }
    }
}
