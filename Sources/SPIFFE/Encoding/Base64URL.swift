/// Base64url without padding, as JOSE uses it everywhere (RFC 7515 §2).
package enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// What no character means.
    private static let none: UInt8 = 0xFF

    private static let values: [UInt8] = {
        var values = [UInt8](repeating: none, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    /// Encodes bytes.
    ///
    /// - Parameter bytes: Any bytes.
    /// - Returns: ASCII without padding.
    package static func encode(_ bytes: some Collection<UInt8>) -> String {
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count * 4 + 2) / 3)
        append(bytes, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// Encodes bytes at the end of a buffer.
    package static func append(_ bytes: some Collection<UInt8>, to output: inout [UInt8]) {
        if bytes.withContiguousStorageIfAvailable({ append($0.span, to: &output) }) == nil {
            append(Array(bytes).span, to: &output)
        }
    }

    private static func append(_ bytes: Span<UInt8>, to output: inout [UInt8]) {
        let alphabet = alphabet
        var position = 0
        while position + 3 <= bytes.count {
            let group = UInt32(bytes[position]) << 16 | UInt32(bytes[position + 1]) << 8 | UInt32(bytes[position + 2])
            output.append(alphabet[Int(group >> 18)])
            output.append(alphabet[Int(group >> 12 & 0x3F)])
            output.append(alphabet[Int(group >> 6 & 0x3F)])
            output.append(alphabet[Int(group & 0x3F)])
            position += 3
        }
        guard position < bytes.count else { return }
        let first = UInt32(bytes[position])
        let second = position + 1 < bytes.count ? UInt32(bytes[position + 1]) : 0
        let group = first << 16 | second << 8
        output.append(alphabet[Int(group >> 18)])
        output.append(alphabet[Int(group >> 12 & 0x3F)])
        if position + 1 < bytes.count { output.append(alphabet[Int(group >> 6 & 0x3F)]) }
    }

    /// Decodes strictly: no padding, no white space, no stray bits at the end.
    ///
    /// - Parameter text: Base64url.
    /// - Returns: The bytes, or nil if the text is not canonical base64url.
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? { decode(Array(text)[...]) }

    /// Decodes part of an array where it lies; see ``decode(_:)-swift.type.method``.
    static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let (characters, values) = (text.span, values)
        let tail = characters.count % 4
        guard tail != 1 else { return nil }
        var output = [UInt8](repeating: 0, count: characters.count * 3 / 4)
        var (position, end) = (0, 0)
        while position + 4 <= characters.count {
            let first = values[Int(characters[position])]
            let second = values[Int(characters[position + 1])]
            let third = values[Int(characters[position + 2])]
            let fourth = values[Int(characters[position + 3])]
            // Every value is below 64, so only what means nothing has the top bit.
            guard (first | second | third | fourth) & 0x80 == 0 else { return nil }
            output[end] = first << 2 | second >> 4
            output[end + 1] = second << 4 | third >> 2
            output[end + 2] = third << 6 | fourth
            (position, end) = (position + 4, end + 3)
        }
        guard tail > 0 else { return output }
        let first = values[Int(characters[position])]
        let second = values[Int(characters[position + 1])]
        let third = tail == 3 ? values[Int(characters[position + 2])] : 0
        guard (first | second | third) & 0x80 == 0 else { return nil }
        output[end] = first << 2 | second >> 4
        if tail == 2 { return second & 0x0F == 0 ? output : nil }
        output[end + 1] = second << 4 | third >> 2
        return third & 0x03 == 0 ? output : nil
    }
}
