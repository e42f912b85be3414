/// Reads the structures of TPM 2.0 (Part 2): big-endian numbers and byte strings that say their own length.
///
/// Every read is held against what is left, so that hostile bytes can only be refused.
package struct TPMReader {
    private var rest: ArraySlice<UInt8>

    package init(_ bytes: some Collection<UInt8>) { rest = Array(bytes)[...] }

    /// Whether everything has been read.
    package var isAtEnd: Bool { rest.isEmpty }

    package mutating func uint8() throws(TPMFormatError) -> UInt8 { UInt8(truncatingIfNeeded: try number(1)) }

    package mutating func uint16() throws(TPMFormatError) -> UInt16 { UInt16(truncatingIfNeeded: try number(2)) }

    package mutating func uint32() throws(TPMFormatError) -> UInt32 { UInt32(truncatingIfNeeded: try number(4)) }

    package mutating func uint64() throws(TPMFormatError) -> UInt64 { try number(8) }

    /// Takes a number of bytes.
    package mutating func bytes(_ count: Int) throws(TPMFormatError) -> [UInt8] {
        guard count >= 0, count <= rest.count else { throw TPMFormatError("it ends too early") }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// Takes a byte string after its length in two bytes, as every `TPM2B_` structure is written.
    ///
    /// - Parameter limit: The most bytes accepted.
    /// - Returns: What follows the length.
    /// - Throws: ``TPMFormatError`` when it is longer, or ends too early.
    package mutating func sized(limit: Int) throws(TPMFormatError) -> [UInt8] {
        let count = Int(try uint16())
        guard count <= limit else { throw TPMFormatError("a field of \(count) bytes is longer than \(limit)") }
        return try bytes(count)
    }

    /// Takes all that is left.
    package mutating func remainder() -> [UInt8] {
        defer { rest = [] }
        return Array(rest)
    }

    /// Refuses whatever follows the structure.
    package func end() throws(TPMFormatError) {
        guard isAtEnd else { throw TPMFormatError("\(rest.count) bytes follow it") }
    }

    private mutating func number(_ count: Int) throws(TPMFormatError) -> UInt64 {
        try bytes(count).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
