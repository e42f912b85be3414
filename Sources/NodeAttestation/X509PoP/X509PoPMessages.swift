internal import Foundation
internal import SPIFFE

/// What the halves of `x509pop` send each other, in the words of SPIRE's attestor of that name.
enum X509PoPMessages {
    /// Which signature a challenge asks for.
    enum Scheme: String {
        case rsa = "rsa_signature"
        case ecdsa = "ecdsa_signature"
    }

    /// A signature over both nonces.
    enum Signature {
        case rsa([UInt8])
        /// Both big-endian, without leading zeros.
        case ecdsa(r: [UInt8], s: [UInt8])
    }

    static func payload(_ chain: [[UInt8]]) -> [UInt8] {
        JSONValue.members(["certificates": .array(chain.map { .base64($0) })]).message
    }

    static func chain(in payload: [UInt8]) throws(NodeAttestationError) -> [[UInt8]] {
        try EvidenceMessage(payload, as: "payload").list("certificates")
    }

    static func challenge(_ scheme: Scheme, nonce: [UInt8]) -> [UInt8] {
        let other: Scheme = scheme == .rsa ? .ecdsa : .rsa
        return JSONValue.members([
            scheme.rawValue: .members(["nonce": .base64(nonce)]), other.rawValue: .null,
        ]).message
    }

    static func nonce(in challenge: [UInt8], for scheme: Scheme) throws(NodeAttestationError) -> [UInt8] {
        guard let message = try EvidenceMessage(challenge, as: "challenge").message(scheme.rawValue) else {
            throw .malformed("challenge does not ask for a signature by this key")
        }
        return try message.bytes("nonce")
    }

    static func answer(_ signature: Signature, nonce: [UInt8]) -> [UInt8] {
        switch signature {
        case .rsa(let signature):
            JSONValue.members([
                Scheme.rsa.rawValue: .members(["nonce": .base64(nonce), "signature": .base64(signature)]),
                Scheme.ecdsa.rawValue: .null,
            ]).message
        case .ecdsa(let r, let s):
            JSONValue.members([
                Scheme.rsa.rawValue: .null,
                Scheme.ecdsa.rawValue: .members(["nonce": .base64(nonce), "r": .base64(r), "s": .base64(s)]),
            ]).message
        }
    }

    static func signature(
        in answer: [UInt8], for scheme: Scheme
    ) throws(NodeAttestationError) -> (signature: Signature, nonce: [UInt8]) {
        guard let message = try EvidenceMessage(answer, as: "answer").message(scheme.rawValue) else {
            throw .malformed("answer has no signature of the kind that was asked for")
        }
        let nonce = try message.bytes("nonce")
        switch scheme {
        case .rsa: return (.rsa(try message.bytes("signature")), nonce)
        case .ecdsa: return (.ecdsa(r: try message.bytes("r"), s: try message.bytes("s")), nonce)
        }
    }
}
