import Crypto
import Foundation
import SPIFFE

/// Signs tokens as the authority of `example.org`, valid at the machine's time, since sources judge by that.
struct TokenMint: Sendable {
    let now = Date()
    private let key = P256.Signing.PrivateKey()

    func bundle() throws -> JWTBundle {
        JWTBundle(
            trustDomain: try TrustDomain("example.org"),
            authorities: ["k1": try JWTVerificationKey(derRepresentation: key.publicKey.derRepresentation)])
    }

    func token(
        id: String = "spiffe://example.org/token", audience: String = "mirror", lifetime: TimeInterval = 300
    ) throws -> String {
        let header = #"{"alg":"ES256","kid":"k1"}"#
        let end = Int(now.timeIntervalSince1970 + lifetime)
        let claims = #"{"aud":["\#(audience)"],"exp":\#(end),"sub":"\#(id)"}"#
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(claims.utf8))
        let signature = try key.signature(for: Data(input.utf8))
        return input + "." + Base64URL.encode(signature.rawRepresentation)
    }
}
