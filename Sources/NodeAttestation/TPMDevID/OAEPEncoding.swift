/// EME-OAEP (RFC 8017 §7.1.1), with a label: the crypto library encrypts without one only.
package enum OAEPEncoding {
    /// Encodes a message into a block as long as the modulus.
    ///
    /// - Parameters:
    ///   - message: What is to be encrypted.
    ///   - label: What both sides must agree on.
    ///   - hash: The hash, also of MGF1.
    ///   - seed: As many unpredictable bytes as a digest has.
    ///   - size: Bytes of the modulus.
    /// - Returns: The block; nil when the message is too long for it, or the seed has another length.
    package static func block(
        of message: [UInt8], label: [UInt8], hash: TPMHash, seed: [UInt8], size: Int
    ) -> [UInt8]? {
        let room = size - 2 * hash.size - 2 - message.count
        guard room >= 0, seed.count == hash.size else { return nil }
        let data = hash.digest(label) + [UInt8](repeating: 0, count: room) + [1] + message
        let maskedData = masked(data, by: seed, hash)
        return [0] + masked(seed, by: maskedData, hash) + maskedData
    }

    /// Combines bytes with what MGF1 (RFC 8017 §B.2.1) makes of others.
    private static func masked(_ bytes: [UInt8], by seed: [UInt8], _ hash: TPMHash) -> [UInt8] {
        var mask: [UInt8] = []
        var counter: UInt32 = 0
        while mask.count < bytes.count {
            var block = TPMWriter()
            block.append(seed)
            block.uint32(counter)
            mask += hash.digest(block.bytes)
            counter += 1
        }
        return zip(bytes, mask).map { $0 ^ $1 }
    }
}
