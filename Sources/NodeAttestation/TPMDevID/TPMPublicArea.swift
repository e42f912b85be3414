/// What a TPM makes known of a key (TPMT_PUBLIC, TPM 2.0 Part 2 §12.2.4).
///
/// Only RSA keys and those on NIST curves, with a name by SHA-2: others cannot be parsed.
package struct TPMPublicArea: Hashable, Sendable {
    /// The longest public area read, in bytes; one with an RSA key of 4096 bits takes some 600.
    package static let maximumLength = 1024

    package enum Key: Hashable, Sendable {
        /// The modulus, of exactly `bits` bits, big-endian; the exponent is 65537.
        case rsa(bits: Int, modulus: [UInt8])
        /// A point by its coordinates, each at full length.
        case elliptic(TPMCurve, x: [UInt8], y: [UInt8])
    }

    package let nameAlgorithm: TPMHash
    package let attributes: TPMObjectAttributes
    package let authorizationPolicy: [UInt8]
    /// Bits of the AES key, in CFB mode, with which the key protects others; nil for a key that protects none.
    package let protectionKeySize: Int?
    /// How the key signs; nil when whoever uses it may choose.
    package let scheme: TPMSignatureScheme?
    package let key: Key

    /// The whole structure, as it came.
    package let bytes: [UInt8]

    /// Parses a public area, without its length before it.
    ///
    /// - Throws: ``TPMFormatError``, also when anything follows it.
    package init(parsing bytes: [UInt8]) throws(TPMFormatError) {
        guard bytes.count <= Self.maximumLength else {
            throw TPMFormatError("it is longer than \(Self.maximumLength) bytes")
        }
        var reader = TPMReader(bytes)
        let type = try reader.uint16()
        nameAlgorithm = try TPMHash(reading: &reader)
        attributes = TPMObjectAttributes(rawValue: try reader.uint32())
        authorizationPolicy = try reader.sized(limit: 64)
        protectionKeySize = try Self.protection(&reader)
        scheme = try TPMSignatureScheme(readingOptional: &reader)
        switch type {
        case TPMNumber.rsa: key = try Self.rsa(&reader)
        case TPMNumber.elliptic: key = try Self.elliptic(&reader)
        default: throw TPMFormatError("key type 0x\(String(type, radix: 16)) is not accepted")
        }
        try reader.end()
        self.bytes = bytes
    }

    /// Parses a public area as it lies in files: with its length before it, as the TPM2 tools write it, or without.
    ///
    /// - Throws: ``TPMFormatError``.
    package init(parsingFile contents: [UInt8]) throws(TPMFormatError) {
        try self.init(parsing: TPMBlob.content(of: contents))
    }

    /// What the TPM calls this key: its hash algorithm, and the hash of the public area (TPM 2.0 Part 1 §16).
    package var name: [UInt8] {
        var writer = TPMWriter()
        writer.uint16(nameAlgorithm.rawValue)
        writer.append(nameAlgorithm.digest(bytes))
        return writer.bytes
    }

    private static func protection(_ reader: inout TPMReader) throws(TPMFormatError) -> Int? {
        switch try reader.uint16() {
        case TPMNumber.null: return nil
        case TPMNumber.aes:
            let bits = Int(try reader.uint16())
            let mode = try reader.uint16()
            guard [128, 192, 256].contains(bits), mode == TPMNumber.cfb else {
                throw TPMFormatError("a key protects others in a way that is not accepted")
            }
            return bits
        default: throw TPMFormatError("a key protects others in a way that is not accepted")
        }
    }

    private static func rsa(_ reader: inout TPMReader) throws(TPMFormatError) -> Key {
        let bits = Int(try reader.uint16())
        let exponent = try reader.uint32()
        let modulus = try reader.sized(limit: 512)
        guard [2048, 3072, 4096].contains(bits) else {
            throw TPMFormatError("RSA keys of \(bits) bits are not accepted")
        }
        // Zero stands for the default (TPM 2.0 Part 2 §12.2.3.5).
        guard exponent == 0 || exponent == 65_537 else { throw TPMFormatError("an RSA exponent is not 65537") }
        guard modulus.count * 8 == bits, let first = modulus.first, first >= 0x80, let last = modulus.last,
            last & 1 == 1
        else { throw TPMFormatError("an RSA modulus does not have the size that it should have") }
        return .rsa(bits: bits, modulus: modulus)
    }

    private static func elliptic(_ reader: inout TPMReader) throws(TPMFormatError) -> Key {
        let number = try reader.uint16()
        guard let curve = TPMCurve(rawValue: number) else {
            throw TPMFormatError("elliptic curve 0x\(String(number, radix: 16)) is not accepted")
        }
        if try reader.uint16() != TPMNumber.null { _ = try reader.uint16() }
        let x = try TPMNumber.padded(try reader.sized(limit: curve.size), to: curve.size)
        let y = try TPMNumber.padded(try reader.sized(limit: curve.size), to: curve.size)
        return .elliptic(curve, x: x, y: y)
    }
}
