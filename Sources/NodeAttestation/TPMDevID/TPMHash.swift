internal import Crypto
internal import Foundation

/// The hash algorithms relied on, by their numbers (TPM 2.0 Part 2 §6.3).
///
/// SHA-1 is left out: nothing here may rest on it.
package enum TPMHash: UInt16, Hashable, Sendable, CaseIterable {
    case sha256 = 0x000B
    case sha384 = 0x000C
    case sha512 = 0x000D

    /// Reads an algorithm's number.
    package init(reading reader: inout TPMReader) throws(TPMFormatError) {
        let number = try reader.uint16()
        guard let known = Self(rawValue: number) else {
            throw TPMFormatError("hash algorithm 0x\(String(number, radix: 16)) is not accepted")
        }
        self = known
    }

    /// Bytes of a digest.
    package var size: Int {
        switch self {
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    package func digest(_ bytes: [UInt8]) -> [UInt8] {
        switch self {
        case .sha256: Array(SHA256.hash(data: bytes))
        case .sha384: Array(SHA384.hash(data: bytes))
        case .sha512: Array(SHA512.hash(data: bytes))
        }
    }

    /// HMAC (FIPS 198-1) with this hash.
    package func authenticationCode(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        let key = SymmetricKey(data: key)
        return switch self {
        case .sha256: Array(HMAC<SHA256>.authenticationCode(for: bytes, using: key))
        case .sha384: Array(HMAC<SHA384>.authenticationCode(for: bytes, using: key))
        case .sha512: Array(HMAC<SHA512>.authenticationCode(for: bytes, using: key))
        }
    }
}
