internal import Foundation
internal import SPIFFE

/// What a token says, read with Foundation's JSON and base64 instead of ours.
enum TokenAudit {
    private static let algorithms = ["RS", "ES", "PS"].flatMap { kind in ["256", "384", "512"].map { kind + $0 } }

    /// The rules for whatever was accepted (JWT-01, JWT-13..20).
    static func claimIsSound(_ token: String, naming id: SPIFFEID, audience: String, at instant: Date) {
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        claim(parts.count == 3, "a token has three parts")
        let (header, claims) = (object(parts[0]), object(parts[1]))
        claim(bytes(parts[2]) != nil, "a signature is base64url")
        claim(algorithms.contains(header["alg"] as? String ?? ""), "the algorithm is permitted")
        claim(!(header["kid"] as? String ?? "").isEmpty, "the key has an ID")
        claim(header["crit"] == nil, "the header has no critical extension")
        claim(header["typ"].map { ["JWT", "JOSE"].contains($0 as? String) } ?? true, "the type is JWT or JOSE")
        claim(claims["sub"] as? String == id.description, "the subject is the identity")
        let audiences = claims["aud"] as? [Any] ?? [claims["aud"] as Any]
        claim(audiences.contains { $0 as? String == audience }, "the audience is the one asked for")
        claim((claims["exp"] as? NSNumber)?.doubleValue ?? 0 > instant.timeIntervalSince1970 - 60, "the token is alive")
        let notBefore = (claims["nbf"] as? NSNumber)?.doubleValue ?? 0
        claim(notBefore < instant.timeIntervalSince1970 + 60, "the token has begun")
    }

    private static func object(_ part: Substring.UTF8View) -> [String: Any] {
        guard let bytes = bytes(part), let object = try? JSONSerialization.jsonObject(with: bytes) as? [String: Any]
        else { broken("a header and claims are JSON objects") }
        return object
    }

    private static func bytes(_ part: Substring.UTF8View) -> Data? {
        let text = String(Substring(part)).replacing("-", with: "+").replacing("_", with: "/")
        return Data(base64Encoded: text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4))
    }
}
