internal import Crypto
internal import CryptoExtras
internal import Foundation
internal import X509

/// The key of a node's certificate, as proofs of possession use it.
enum PossessionKey {
    case p256(P256.Signing.PublicKey)
    case p384(P384.Signing.PublicKey)
    case p521(P521.Signing.PublicKey)
    case rsa(_RSA.Signing.PublicKey)

    init(_ key: Certificate.PublicKey, maximumRSABits: Int) throws(NodeAttestationError) {
        if let key = P256.Signing.PublicKey(key) {
            self = .p256(key)
        } else if let key = P384.Signing.PublicKey(key) {
            self = .p384(key)
        } else if let key = P521.Signing.PublicKey(key) {
            self = .p521(key)
        } else if let key = _RSA.Signing.PublicKey(key) {
            guard key.keySizeInBits <= maximumRSABits else {
                throw .refused("the certificate's RSA key is larger than \(maximumRSABits) bits")
            }
            self = .rsa(key)
        } else {
            throw .refused("the certificate's key is neither ECDSA nor RSA")
        }
    }

    var scheme: X509PoPMessages.Scheme {
        if case .rsa = self { .rsa } else { .ecdsa }
    }

    /// Whether a signature over both nonces is this key's.
    func hasSigned(_ nonces: PossessionNonces, _ signature: X509PoPMessages.Signature) -> Bool {
        switch (self, signature) {
        case (.rsa(let key), .rsa(let signature)):
            return PSSSignature.isValid(signature, for: nonces.digest, by: key)
        case (.p256(let key), .ecdsa(let r, let s)):
            guard let raw = Self.raw(r, s, width: 32),
                let signature = try? P256.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: nonces.digest)
        case (.p384(let key), .ecdsa(let r, let s)):
            guard let raw = Self.raw(r, s, width: 48),
                let signature = try? P384.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: nonces.digest)
        case (.p521(let key), .ecdsa(let r, let s)):
            guard let raw = Self.raw(r, s, width: 66),
                let signature = try? P521.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: nonces.digest)
        case (.rsa, .ecdsa), (.p256, .rsa), (.p384, .rsa), (.p521, .rsa):
            return false
        }
    }

    /// Both numbers in the width of the curve; nil when one is too long.
    private static func raw(_ r: [UInt8], _ s: [UInt8], width: Int) -> [UInt8]? {
        var raw: [UInt8] = []
        for number in [r, s] {
            let digits = number.drop { $0 == 0 }
            guard digits.count <= width else { return nil }
            raw += [UInt8](repeating: 0, count: width - digits.count) + digits
        }
        return raw
    }
}
