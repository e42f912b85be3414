/// The key derivations of TPM 2.0 Part 1 §11.4.10.
package enum TPMKeyDerivation {
    /// KDFa: SP 800-108 in counter mode, with HMAC.
    ///
    /// - Parameters:
    ///   - hash: What HMAC works with.
    ///   - key: The secret.
    ///   - label: What the result is for; ASCII.
    ///   - context: Both context values, one after the other.
    ///   - bits: How much is derived; whole bytes.
    /// - Returns: That many bits.
    package static func fromKey(
        _ hash: TPMHash, key: [UInt8], label: String, context: [UInt8], bits: Int
    ) -> [UInt8] {
        var derived: [UInt8] = []
        var counter: UInt32 = 0
        while derived.count * 8 < bits {
            counter += 1
            var block = TPMWriter()
            block.uint32(counter)
            block.append(terminated(label))
            block.append(context)
            block.uint32(UInt32(truncatingIfNeeded: bits))
            derived += hash.authenticationCode(block.bytes, key: key)
        }
        return Array(derived.prefix(bits / 8))
    }

    /// KDFe: SP 800-56A's one-step derivation, for a secret agreed upon over a curve; one digest of the hash long.
    ///
    /// - Parameters:
    ///   - hash: What is hashed with.
    ///   - secret: The x coordinate that both sides have.
    ///   - label: What the result is for; ASCII.
    ///   - ephemeral: The x coordinate of the one-time key.
    ///   - recipient: The x coordinate of the other side's key.
    /// - Returns: One digest.
    package static func fromAgreement(
        _ hash: TPMHash, secret: [UInt8], label: String, ephemeral: [UInt8], recipient: [UInt8]
    ) -> [UInt8] {
        hash.digest([0, 0, 0, 1] + secret + terminated(label) + ephemeral + recipient)
    }

    /// A label with the zero byte after it, which TPMs count in.
    static func terminated(_ label: String) -> [UInt8] { Array(label.utf8) + [0] }
}
