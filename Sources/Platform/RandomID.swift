/// Names drawn at random, in the shape of a version 4 UUID (RFC 9562 §5.4).
package enum RandomID {
    /// Draws a name.
    package static func draw(using entropy: inout some RandomNumberGenerator) -> String {
        var bytes = entropy.bytes(16)
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = Array(Hex.encode(bytes).utf8)
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for (start, end) in [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)] {
            if start > 0 { text.append(UInt8(ascii: "-")) }
            text += digits[start..<end]
        }
        return String(decoding: text, as: UTF8.self)
    }
}
