import Crypto
import Foundation
import SPIFFE
import SwiftProtobuf
import WorkloadAPIProtos
import WorkloadIdentity

/// Signs tokens, and publishes the key.
struct TokenMint: Sendable {
    private let key = P256.Signing.PrivateKey()

    /// The key as an endpoint publishes it.
    var jwks: Data {
        let point = key.publicKey.rawRepresentation
        let (x, y) = (Base64URL.encode(Array(point.prefix(32))), Base64URL.encode(Array(point.suffix(32))))
        return Data(#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","use":"jwt-svid","x":"\#(x)","y":"\#(y)"}]}"#.utf8)
    }

    /// A token as text.
    func token(
        _ id: String = "spiffe://example.org/w", for audience: [String] = ["a"], until expiry: Date = Date() + 300,
        serial: Int = 0
    ) throws -> String {
        let names = audience.map { "\"\($0)\"" }.joined(separator: ",")
        let claims = #"{"sub":"\#(id)","aud":[\#(names)],"exp":\#(Int(expiry.timeIntervalSince1970)),"n":\#(serial)}"#
        let input =
            Base64URL.encode(Array(#"{"alg":"ES256","kid":"k1"}"#.utf8)) + "." + Base64URL.encode(Array(claims.utf8))
        let signature = try key.signature(for: Data(input.utf8)).rawRepresentation
        return input + "." + Base64URL.encode(Array(signature))
    }

    /// A token as a message carries it.
    func wire(
        _ id: String = "spiffe://example.org/w", for audience: [String] = ["a"], until expiry: Date = Date() + 300,
        serial: Int = 0, hint: String = ""
    ) throws -> WorkloadJWTSVID {
        try .with {
            $0.spiffeID = id
            $0.svid = try token(id, for: audience, until: expiry, serial: serial)
            $0.hint = hint
        }
    }

    /// The bundles of `example.org` as a message carries them.
    var bundles: WorkloadJWTBundlesResponse { .with { $0.bundles = ["spiffe://example.org": jwks] } }
}

extension WorkloadJWTSVIDResponse {
    /// A message of these tokens.
    init(_ svids: WorkloadJWTSVID...) { self = .with { $0.svids = svids } }
}
