internal import Crypto
internal import Foundation
internal import Platform

/// A secret agreed upon with the holder of a key on a curve, by a key of our own that is used once (one-pass ECDH).
struct EphemeralAgreement {
    /// The x coordinate that both sides have.
    let secret: [UInt8]
    /// Our key, for the other side.
    let x: [UInt8]
    let y: [UInt8]

    /// Agrees on a secret; nil when the point does not lie on the curve.
    ///
    /// - Parameters:
    ///   - point: The other side's key, in X9.63's form.
    ///   - curve: Where it lies.
    ///   - entropy: Where our key comes from.
    init?(with point: [UInt8], on curve: TPMCurve, using entropy: inout some Entropy) {
        let own: [UInt8]
        switch curve {
        case .p256:
            guard let other = try? P256.KeyAgreement.PublicKey(x963Representation: point),
                let key = Self.key(curve, &entropy, { try? P256.KeyAgreement.PrivateKey(rawRepresentation: $0) }),
                let shared = try? key.sharedSecretFromKeyAgreement(with: other)
            else { return nil }
            (secret, own) = (shared.withUnsafeBytes { Array($0) }, Array(key.publicKey.x963Representation))
        case .p384:
            guard let other = try? P384.KeyAgreement.PublicKey(x963Representation: point),
                let key = Self.key(curve, &entropy, { try? P384.KeyAgreement.PrivateKey(rawRepresentation: $0) }),
                let shared = try? key.sharedSecretFromKeyAgreement(with: other)
            else { return nil }
            (secret, own) = (shared.withUnsafeBytes { Array($0) }, Array(key.publicKey.x963Representation))
        }
        (x, y) = (Array(own.dropFirst().prefix(curve.size)), Array(own.suffix(curve.size)))
    }

    /// Draws numbers until one is a private key, which nearly every number is.
    private static func key<Key>(
        _ curve: TPMCurve, _ entropy: inout some Entropy, _ make: ([UInt8]) -> Key?
    ) -> Key? {
        for _ in 0..<8 {
            if let key = make(entropy.bytes(curve.size)) { return key }
        }
        return nil
    }
}
