/// Walks over text of the kernel's, byte by byte; whatever is not as expected ends in nil, never in a trap.
struct ByteScanner {
    private let bytes: ArraySlice<UInt8>
    private(set) var position: Int

    init(_ bytes: ArraySlice<UInt8>) { (self.bytes, position) = (bytes, bytes.startIndex) }

    var isAtEnd: Bool { position >= bytes.endIndex }

    /// The next byte, not taken.
    var next: UInt8? { isAtEnd ? nil : bytes[position] }

    /// Takes one byte.
    mutating func take() -> UInt8? {
        guard !isAtEnd else { return nil }
        defer { position += 1 }
        return bytes[position]
    }

    /// Takes this byte, if it is the next one.
    mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    /// Takes as many of this byte as there are.
    mutating func skip(_ byte: UInt8) { while next == byte { position += 1 } }

    /// Takes what comes before a byte or the end, and the byte.
    mutating func through(_ byte: UInt8) -> ArraySlice<UInt8> {
        let start = position
        while position < bytes.endIndex, bytes[position] != byte { position += 1 }
        let found = bytes[start..<position]
        if position < bytes.endIndex { position += 1 }
        return found
    }

    /// Takes a decimal number: at least one digit, no sign, no more than 64 bits.
    mutating func decimal() -> UInt64? {
        guard let first = next, Self.isDigit(first) else { return nil }
        var value: UInt64 = 0
        while let byte = next, Self.isDigit(byte) {
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(UInt64(byte &- 48))
            guard !overflow, !carry else { return nil }
            value = sum
            position += 1
        }
        return value
    }

    /// Takes a lower-case hexadecimal number of at most 64 bits, without prefix.
    mutating func hexadecimal() -> UInt64? {
        var value: UInt64 = 0
        var digits = 0
        while let byte = next, let digit = Self.hexDigit(byte) {
            guard digits < 16 else { return nil }
            value = value << 4 | digit
            digits += 1
            position += 1
        }
        return digits > 0 ? value : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }

    private static func hexDigit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case 48...57: UInt64(byte &- 48)
        case 97...102: UInt64(byte &- 87)
        default: nil
        }
    }
}

extension UInt8 {
    static let newline = UInt8(ascii: "\n")
    static let space = UInt8(ascii: " ")
    static let tab = UInt8(ascii: "\t")
    static let colon = UInt8(ascii: ":")
}
