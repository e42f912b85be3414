/// Percent-encoded text (RFC 3986 §2.1), as proxies put certificates into headers.
enum PercentEncoding {
    /// Decodes ASCII text.
    ///
    /// A plus sign stands for itself, as it does in base64.
    ///
    /// - Parameter text: The encoded text.
    /// - Returns: The text; nil when a percent sign is not followed by two hexadecimal digits, or for anything but ASCII.
    static func decode(_ text: some Collection<UInt8>) -> String? {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(text.count)
        var rest = text.makeIterator()
        while let byte = rest.next() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.next().flatMap(value), let low = rest.next().flatMap(value) else { return nil }
                decoded.append(high << 4 | low)
            } else {
                decoded.append(byte)
            }
        }
        guard decoded.allSatisfy({ $0 < 0x80 }) else { return nil }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
