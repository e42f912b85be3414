extension JSONValue {
    /// Writes the value without white space.
    package var compactText: String { String(decoding: compactBytes, as: UTF8.self) }

    /// The same as UTF-8.
    package var compactBytes: [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(256)
        write(to: &output, indent: nil)
        return output
    }

    /// Writes the value for people, two spaces a level.
    package var prettyText: String {
        var output: [UInt8] = []
        write(to: &output, indent: 0)
        return String(decoding: output, as: UTF8.self)
    }

    private func write(to output: inout [UInt8], indent: Int?) {
        switch self {
        case .null: output += "null".utf8
        case .bool(let value): output += (value ? "true" : "false").utf8
        case .number(let text): output += text.utf8
        case .string(let text): Self.write(text, to: &output)
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                Self.separate(index, to: &output, indent: indent)
                element.write(to: &output, indent: indent.map { $0 + 1 })
            }
            Self.close("]", isEmpty: elements.isEmpty, to: &output, indent: indent)
        case .object(let object):
            output.append(UInt8(ascii: "{"))
            var index = 0
            for member in object {
                Self.separate(index, to: &output, indent: indent)
                Self.write(member.name, to: &output)
                output += (indent == nil ? ":" : ": ").utf8
                member.value.write(to: &output, indent: indent.map { $0 + 1 })
                index += 1
            }
            Self.close("}", isEmpty: index == 0, to: &output, indent: indent)
        }
    }

    /// Writes what stands before an element.
    private static func separate(_ index: Int, to output: inout [UInt8], indent: Int?) {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        if let indent { startLine(to: &output, indent: indent + 1) }
    }

    private static func close(_ bracket: Unicode.Scalar, isEmpty: Bool, to output: inout [UInt8], indent: Int?) {
        if let indent, !isEmpty { startLine(to: &output, indent: indent) }
        output.append(UInt8(ascii: bracket))
    }

    private static func startLine(to output: inout [UInt8], indent: Int) {
        output.append(UInt8(ascii: "\n"))
        output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent * 2))
    }

    private static func write(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): output += "\\\"".utf8
            case UInt8(ascii: "\\"): output += "\\\\".utf8
            case UInt8(ascii: "\n"): output += "\\n".utf8
            case UInt8(ascii: "\r"): output += "\\r".utf8
            case UInt8(ascii: "\t"): output += "\\t".utf8
            case 0..<0x20, 0x7F:
                let hex = String(byte, radix: 16)
                output += ("\\u" + String(repeating: "0", count: 4 - hex.count) + hex).utf8
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
