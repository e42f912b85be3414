/// How a key signs (TPMT_SIG_SCHEME, TPM 2.0 Part 2 §11.2.1.5).
package enum TPMSignatureScheme: Hashable, Sendable {
    /// PKCS #1 v1.5 (RFC 8017 §8.2).
    case rsassa(TPMHash)
    case ecdsa(TPMHash)

    package var hash: TPMHash {
        switch self {
        case .rsassa(let hash), .ecdsa(let hash): hash
        }
    }

    /// Reads a scheme.
    ///
    /// - Throws: ``TPMFormatError``, also for a scheme that is not relied on, such as ECDAA, SM2 or PSS.
    package init(reading reader: inout TPMReader) throws(TPMFormatError) {
        guard let scheme = try Self(readingOptional: &reader) else {
            throw TPMFormatError("a signature scheme is missing")
        }
        self = scheme
    }

    /// Reads a scheme, or that there is none.
    package init?(readingOptional reader: inout TPMReader) throws(TPMFormatError) {
        let number = try reader.uint16()
        switch number {
        case TPMNumber.null: return nil
        case TPMNumber.rsassa: self = .rsassa(try TPMHash(reading: &reader))
        case TPMNumber.ecdsa: self = .ecdsa(try TPMHash(reading: &reader))
        default: throw TPMFormatError("signature scheme 0x\(String(number, radix: 16)) is not accepted")
        }
    }

    func write(to writer: inout TPMWriter) {
        switch self {
        case .rsassa: writer.uint16(TPMNumber.rsassa)
        case .ecdsa: writer.uint16(TPMNumber.ecdsa)
        }
        writer.uint16(hash.rawValue)
    }
}
