extension JSONValue {
    /// The deepest nesting accepted.
    package static let maximumDepth = 32

    /// Parses one JSON text (RFC 8259), strictly and within bounds.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8, without a byte order mark.
    ///   - limit: The most bytes accepted.
    /// - Throws: ``SPIFFEError`` with code `invalidJSON`: malformed, too large, too deep, or a member named twice.
    package init(parsing bytes: some Collection<UInt8>, limit: Int = 1 << 20) throws(SPIFFEError) {
        guard bytes.count <= limit else { throw SPIFFEError(.invalidJSON, "JSON is longer than \(limit) bytes") }
        var parser = JSONParser(bytes: Array(bytes))
        self = try parser.parseDocument()
    }
}

/// A recursive-descent parser over bytes; every read is bounds-checked.
private struct JSONParser {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func parseDocument() throws(SPIFFEError) -> JSONValue {
        let value = try parseValue(depth: 0)
        skipWhitespace()
        guard position == bytes.count else { throw malformed("text after the value") }
        return value
    }

    private mutating func parseValue(depth: Int) throws(SPIFFEError) -> JSONValue {
        guard depth <= JSONValue.maximumDepth else { throw malformed("nested too deeply") }
        skipWhitespace()
        switch peek() {
        case UInt8(ascii: "{"): return try parseObject(depth: depth)
        case UInt8(ascii: "["): return try parseArray(depth: depth)
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseWord("true", as: .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", as: .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", as: .null)
        case UInt8(ascii: "-")?: return .number(try parseNumber())
        case let digit? where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit): return .number(try parseNumber())
        default: throw malformed("a value is missing")
        }
    }

    private mutating func parseObject(depth: Int) throws(SPIFFEError) -> JSONValue {
        position += 1
        var object = JSONObject()
        skipWhitespace()
        if take(UInt8(ascii: "}")) { return .object(object) }
        while true {
            skipWhitespace()
            guard peek() == UInt8(ascii: "\"") else { throw malformed("a member name is missing") }
            let name = try parseString()
            skipWhitespace()
            guard take(UInt8(ascii: ":")) else { throw malformed("a colon is missing") }
            guard object.add(name, try parseValue(depth: depth + 1)) else {
                throw SPIFFEError(.invalidJSON, "JSON object names a member twice")
            }
            skipWhitespace()
            if take(UInt8(ascii: "}")) { return .object(object) }
            guard take(UInt8(ascii: ",")) else { throw malformed("a comma is missing") }
        }
    }

    private mutating func parseArray(depth: Int) throws(SPIFFEError) -> JSONValue {
        position += 1
        var elements: [JSONValue] = []
        skipWhitespace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try parseValue(depth: depth + 1))
            skipWhitespace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw malformed("a comma is missing") }
        }
    }

    private mutating func parseString() throws(SPIFFEError) -> String {
        position += 1
        let start = position
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "\""):
                defer { position += 1 }
                return try text(bytes.span.extracting(start..<position))
            case UInt8(ascii: "\\"): return try parseEscapedString(from: start)
            case 0..<0x20: throw malformed("a control character stands in a string")
            default: position += 1
            }
        }
        throw malformed("a string does not end")
    }

    /// The rest of a string, from its first escape on; what stands before needs no change.
    private mutating func parseEscapedString(from start: Int) throws(SPIFFEError) -> String {
        var unescaped = Array(bytes[start..<position])
        while let byte = next() {
            switch byte {
            case UInt8(ascii: "\""): return try text(unescaped.span)
            case UInt8(ascii: "\\"): unescaped.append(contentsOf: try parseEscape())
            case 0..<0x20: throw malformed("a control character stands in a string")
            default: unescaped.append(byte)
            }
        }
        throw malformed("a string does not end")
    }

    private func text(_ bytes: Span<UInt8>) throws(SPIFFEError) -> String {
        do { return String(copying: try UTF8Span(validating: bytes)) } catch { throw malformed("not UTF-8") }
    }

    private mutating func parseEscape() throws(SPIFFEError) -> [UInt8] {
        switch next() {
        case UInt8(ascii: "\""): return [UInt8(ascii: "\"")]
        case UInt8(ascii: "\\"): return [UInt8(ascii: "\\")]
        case UInt8(ascii: "/"): return [UInt8(ascii: "/")]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return try parseUnicodeEscape()
        default: throw malformed("an escape is not one of JSON's")
        }
    }

    private mutating func parseUnicodeEscape() throws(SPIFFEError) -> [UInt8] {
        let first = try parseHexQuad()
        var code = UInt32(first)
        if (0xD800..<0xDC00).contains(first) {
            guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw malformed("a surrogate stands alone") }
            let second = try parseHexQuad()
            guard (0xDC00..<0xE000).contains(second) else { throw malformed("a surrogate stands alone") }
            code = 0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw malformed("a surrogate stands alone") }
        return Array(String(Character(scalar)).utf8)
    }

    private mutating func parseHexQuad() throws(SPIFFEError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw malformed("a Unicode escape is not four hex digits")
            }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    private mutating func parseNumber() throws(SPIFFEError) -> String {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if take(UInt8(ascii: "0")) {
            // A leading zero stands alone.
        } else {
            guard takeDigits() > 0 else { throw malformed("a number has no digits") }
        }
        if take(UInt8(ascii: ".")) {
            guard takeDigits() > 0 else { throw malformed("a fraction has no digits") }
        }
        let hasExponent = take(UInt8(ascii: "e")) || take(UInt8(ascii: "E"))
        if hasExponent {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard takeDigits() > 0 else { throw malformed("an exponent has no digits") }
        }
        guard position - start <= 64 else { throw malformed("a number is too long") }
        let number = String(decoding: bytes[start..<position], as: UTF8.self)
        // Without an exponent, 64 characters cannot spell what a double cannot hold.
        guard !hasExponent || Double(number)?.isFinite == true else { throw malformed("a number is out of range") }
        return number
    }

    private mutating func parseWord(_ word: String, as value: JSONValue) throws(SPIFFEError) -> JSONValue {
        for byte in word.utf8 {
            guard take(byte) else { throw malformed("a word is not one of JSON's") }
        }
        return value
    }

    private mutating func takeDigits() -> Int {
        let start = position
        while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        return position - start
    }

    private mutating func skipWhitespace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func next() -> UInt8? {
        guard position < bytes.count else { return nil }
        defer { position += 1 }
        return bytes[position]
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    private func malformed(_ reason: String) -> SPIFFEError {
        SPIFFEError(.invalidJSON, "malformed JSON at byte \(position): \(reason)")
    }
}
