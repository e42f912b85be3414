/// Writes the structures of TPM 2.0 (Part 2).
package struct TPMWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func uint8(_ value: UInt8) { bytes.append(value) }

    package mutating func uint16(_ value: UInt16) { bytes += [UInt8(value >> 8), UInt8(value & 0xFF)] }

    package mutating func uint32(_ value: UInt32) {
        uint16(UInt16(value >> 16))
        uint16(UInt16(value & 0xFFFF))
    }

    package mutating func append(_ more: some Sequence<UInt8>) { bytes += more }

    /// Writes a byte string after its length in two bytes.
    ///
    /// - Throws: ``TPMFormatError`` when the length takes more than two bytes.
    package mutating func sized(_ content: [UInt8]) throws(TPMFormatError) {
        guard let count = UInt16(exactly: content.count) else {
            throw TPMFormatError("a field of \(content.count) bytes is longer than \(UInt16.max)")
        }
        uint16(count)
        bytes += content
    }
}
