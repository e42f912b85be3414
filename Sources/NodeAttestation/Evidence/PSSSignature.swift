internal import Crypto
internal import CryptoExtras
internal import Foundation

/// RSASSA-PSS over SHA-256 with a salt of any length (RFC 8017 §8.1.2, §9.1.2).
///
/// The field's agents sign with the longest salt that fits, which the crypto library does not verify.
enum PSSSignature {
    private static let digestLength = 32

    /// Whether a signature is a key's.
    static func isValid(_ signature: [UInt8], for digest: SHA256Digest, by key: _RSA.Signing.PublicKey) -> Bool {
        guard let numbers = try? key.getKeyPrimitives(),
            let operation = RSAPublicOperation(
                modulus: Array(numbers.modulus), exponent: Array(numbers.publicExponent)),
            let encoded = operation(signature)
        else { return false }
        return isEncoding(encoded, of: digest, bits: operation.bits - 1)
    }

    private static func isEncoding(_ whole: [UInt8], of digest: SHA256Digest, bits: Int) -> Bool {
        let length = (bits + 7) / 8
        guard whole.dropLast(length).allSatisfy({ $0 == 0 }) else { return false }
        let encoded = Array(whole.suffix(length))
        guard encoded.count >= digestLength + 2, encoded.last == 0xBC else { return false }
        let masked = encoded.dropLast(digestLength + 1)
        let hash = Array(encoded.dropLast().suffix(digestLength))
        guard let first = masked.first else { return false }
        let spareBits = UInt8(8 * length - bits)
        let spareMask = spareBits == 0 ? 0 : UInt8(truncatingIfNeeded: UInt16(0xFF00) >> UInt16(spareBits))
        guard first & spareMask == 0 else { return false }
        var block = zip(masked, mask(from: hash, count: masked.count)).map { $0 ^ $1 }
        block[0] &= ~spareMask
        guard let separator = block.firstIndex(where: { $0 != 0 }), block[separator] == 1 else { return false }
        let salt = block[(separator + 1)...]
        let expected = SHA256.hash(data: [UInt8](repeating: 0, count: 8) + Array(digest) + salt)
        return Array(expected) == hash
    }

    /// MGF1 (RFC 8017 §B.2.1).
    private static func mask(from seed: [UInt8], count: Int) -> [UInt8] {
        var mask: [UInt8] = []
        var counter: UInt32 = 0
        while mask.count < count {
            let number = (0..<4).map { UInt8(truncatingIfNeeded: counter >> UInt32(24 - 8 * $0)) }
            mask += Array(SHA256.hash(data: seed + number))
            counter &+= 1
        }
        return Array(mask.prefix(count))
    }
}
