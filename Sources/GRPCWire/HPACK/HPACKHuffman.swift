/// The Huffman code of RFC 7541 appendix B.
///
/// It is a canonical code: the codes of one length are consecutive, in order of their symbols, and each length goes on
/// where the one before ended. So the lengths alone say everything.
package enum HPACKHuffman {
    private static let shortest = 5
    private static let longest = 30

    /// Bits of the code of each byte; the last is the end of the string, which must not occur.
    package static let lengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
        28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
        5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
        7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
        24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
        23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
        21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
        26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
    ]

    private struct Table {
        /// By length: the first code that is longer, filled up with zeros to 32 bits.
        var end: [UInt64] = Array(repeating: 0, count: longest + 1)
        /// By length: its first code, and where the symbols of that length begin.
        var first: [UInt64] = Array(repeating: 0, count: longest + 1)
        var offset: [Int] = Array(repeating: 0, count: longest + 1)
        var symbols: [UInt16] = []

        init() {
            var code: UInt64 = 0
            for length in 1...longest {
                code <<= 1
                first[length] = code
                offset[length] = symbols.count
                for (symbol, bits) in lengths.enumerated() where Int(bits) == length {
                    symbols.append(UInt16(symbol))
                    code += 1
                }
                end[length] = code << UInt64(32 - length)
            }
        }
    }

    private static let table = Table()

    /// Decodes a string.
    ///
    /// - Parameters:
    ///   - input: Holds the string.
    ///   - range: Where it is.
    ///   - output: Gets the bytes at its end, at most 8/5 of the input.
    /// - Returns: Whether it was well formed: padded with less than a byte of ones, and without the end symbol.
    static func decode(_ input: borrowing Span<UInt8>, _ range: Range<Int>, into output: inout [UInt8]) -> Bool {
        let table = Self.table
        // Bits that were read and not decoded yet, at the low end.
        var bits: UInt64 = 0
        var count = 0
        var next = range.lowerBound
        while true {
            while count <= 32, next < range.upperBound {
                bits = bits << 8 | UInt64(input[next])
                count += 8
                next += 1
            }
            if count == 0 { return true }
            // The next 32 bits; beyond the end stand ones, which no code but the end symbol has 30 of.
            let window =
                count >= 32
                ? (bits >> UInt64(count - 32)) & 0xFFFF_FFFF
                : (bits << UInt64(32 - count) | ((1 << UInt64(32 - count)) - 1)) & 0xFFFF_FFFF
            var length = shortest
            while length <= longest, window >= table.end[length] { length += 1 }
            if length > count {
                // Nothing but padding may be left over.
                let padding: UInt64 = (1 << UInt64(count)) - 1
                return count < 8 && bits & padding == padding
            }
            guard length <= longest else { return false }
            let index = table.offset[length] + Int((window >> UInt64(32 - length)) - table.first[length])
            let symbol = table.symbols[index]
            guard symbol < 256 else { return false }
            output.append(UInt8(symbol))
            count -= length
        }
    }
}
