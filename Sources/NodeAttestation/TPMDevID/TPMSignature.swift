/// A signature as a TPM writes it (TPMT_SIGNATURE, TPM 2.0 Part 2 §11.3.4).
package enum TPMSignature: Hashable, Sendable {
    case rsassa(TPMHash, [UInt8])
    /// R and S, big-endian, perhaps without leading zeros.
    case ecdsa(TPMHash, r: [UInt8], s: [UInt8])

    /// Parses a whole signature.
    ///
    /// - Throws: ``TPMFormatError``, also when anything follows it.
    package init(parsing bytes: [UInt8]) throws(TPMFormatError) {
        var reader = TPMReader(bytes)
        switch try TPMSignatureScheme(reading: &reader) {
        case .rsassa(let hash): self = .rsassa(hash, try reader.sized(limit: 512))
        case .ecdsa(let hash):
            let r = try reader.sized(limit: TPMCurve.p384.size)
            self = .ecdsa(hash, r: r, s: try reader.sized(limit: TPMCurve.p384.size))
        }
        try reader.end()
    }

    package var scheme: TPMSignatureScheme {
        switch self {
        case .rsassa(let hash, _): .rsassa(hash)
        case .ecdsa(let hash, _, _): .ecdsa(hash)
        }
    }

    /// The signature as X.509 has it: the bytes of RSA, or the DER of RFC 3279 §2.2.3.
    package var x509Bytes: [UInt8] {
        switch self {
        case .rsassa(_, let bytes): bytes
        case .ecdsa(_, let r, let s): Self.sequence(Self.integer(r) + Self.integer(s))
        }
    }

    private static func integer(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array(bytes.drop { $0 == 0 })
        // A first bit that is set would make it negative, and an integer has at least one byte.
        let content = (digits.first ?? 0x80) >= 0x80 ? [0] + digits : digits
        return [0x02, UInt8(truncatingIfNeeded: content.count)] + content
    }

    private static func sequence(_ content: [UInt8]) -> [UInt8] {
        // Two numbers of a curve of 384 bits take at most 102 bytes, so that the length takes one.
        [0x30, UInt8(truncatingIfNeeded: content.count)] + content
    }
}
