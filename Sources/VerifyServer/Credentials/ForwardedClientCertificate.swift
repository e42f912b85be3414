/// Envoy's `x-forwarded-client-cert`: what one proxy, or a row of them, says about the client of a TLS connection.
///
/// Elements are separated by commas, one for each proxy; pairs of key and value by semicolons. Values that hold one of
/// `,;=` are quoted, and quotes in them escaped by a backslash. Keys are compared without regard to case.
package struct ForwardedClientCertificate: Hashable, Sendable {
    /// One key with its value.
    package struct Pair: Hashable, Sendable {
        /// In lower case.
        package let key: String
        package let value: String
    }

    /// What each proxy says, the one nearest to the client first.
    package let elements: [[Pair]]

    /// Parses the value of the header; fails on anything but elements of pairs.
    ///
    /// - Parameter text: The value.
    package init?(parsing text: String) {
        var rest = Array(text.utf8)[...]
        var elements: [[Pair]] = [[]]
        while true {
            guard let key = Self.key(&rest), let value = Self.value(&rest) else { return nil }
            elements[elements.count - 1].append(Pair(key: key, value: value))
            guard let separator = rest.popFirst() else { break }
            switch separator {
            case UInt8(ascii: ";"): continue
            case UInt8(ascii: ","):
                elements.append([])
                rest = rest.drop { $0 == UInt8(ascii: " ") }
            default: return nil
            }
        }
        self.elements = elements
    }

    /// Reads up to and over the equals sign.
    private static func key(_ rest: inout ArraySlice<UInt8>) -> String? {
        let key = rest.prefix { $0 | 0x20 >= UInt8(ascii: "a") && $0 | 0x20 <= UInt8(ascii: "z") }
        rest = rest.dropFirst(key.count)
        guard !key.isEmpty, rest.popFirst() == UInt8(ascii: "=") else { return nil }
        return String(decoding: key.map { $0 | 0x20 }, as: UTF8.self)
    }

    /// Reads up to the separator, and leaves that.
    private static func value(_ rest: inout ArraySlice<UInt8>) -> String? {
        let quote = UInt8(ascii: "\"")
        guard rest.first == quote else {
            let value = rest.prefix { $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: ";") }
            guard !value.contains(quote) else { return nil }
            rest = rest.dropFirst(value.count)
            return String(decoding: value, as: UTF8.self)
        }
        rest.removeFirst()
        var value: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == quote { return String(decoding: value, as: UTF8.self) }
            if byte == UInt8(ascii: "\\") {
                guard let escaped = rest.popFirst() else { return nil }
                value.append(escaped)
            } else {
                value.append(byte)
            }
        }
        return nil
    }
}
