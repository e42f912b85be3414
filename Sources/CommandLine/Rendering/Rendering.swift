package import SPIFFE
internal import Yams

/// How a command's result is shown.
package enum OutputFormat: String, CaseIterable, Sendable {
    case table
    case json
    case yaml
}

/// A result that can be shown in every format.
package struct Rendering: Sendable {
    /// The stable shape, for programs.
    package let value: JSONValue
    /// The readable one.
    package let table: String

    package init(_ value: JSONValue, table: String) { (self.value, self.table) = (value, table) }

    /// Renders in one format, without a final newline.
    package func text(_ format: OutputFormat) -> String {
        switch format {
        case .table: table
        case .json: value.prettyText
        case .yaml: YAMLText.text(of: value)
        }
    }
}

/// Plain tables: a header and aligned columns, or names and values.
package enum TableText {
    /// Rows under a header; `empty` when there are none.
    package static func rows(_ header: [String], _ rows: [[String]], empty: String) -> String {
        guard !rows.isEmpty else { return empty }
        let lines = [header] + rows.map { $0.map(printable) }
        let widths = header.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            zip(line, widths).enumerated().map { index, cell in
                index == line.count - 1 ? cell.0 : cell.0.padded(to: cell.1)
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    /// A text in one line and without what would move a terminal's cursor: paths are chosen by whoever is looked at.
    package static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isUnseen) else { return text }
        return text.unicodeScalars.map { isUnseen($0) ? "\\u{\(String($0.value, radix: 16))}" : String($0) }.joined()
    }

    private static func isUnseen(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    /// Names and values, one a line; a value of several lines goes under its name.
    package static func fields(_ fields: [(String, String)]) -> String {
        let shown = fields.filter { !$0.1.isEmpty }
        let width = shown.map(\.0.count).max() ?? 0
        return shown.map { name, value in
            let lines = value.split(separator: "\n", omittingEmptySubsequences: false)
            return lines.enumerated().map { index, line in
                (index == 0 ? name : "").padded(to: width) + "  " + line
            }.joined(separator: "\n")
        }.joined(separator: "\n")
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

/// YAML of a JSON value.
package enum YAMLText {
    package static func text(of value: JSONValue) -> String {
        guard let text = try? Yams.serialize(node: node(of: value)) else { return value.prettyText }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    /// A member's name: plain where it stays text, quoted where a reader would take it for something else.
    private static func name(of text: String) -> Node {
        let isPlain =
            text.utf8.first.map { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) } ?? false
            && !["true", "false", "null", "yes", "no", "on", "off"].contains(text)
        return Node(text, Tag(.str), isPlain ? .plain : .doubleQuoted)
    }

    private static func node(of value: JSONValue) -> Node {
        switch value {
        case .null: Node("null", Tag(.null))
        case .bool(let flag): Node(flag ? "true" : "false", Tag(.bool))
        case .number(let text): Node(text, Tag(text.contains(where: { ".eE".contains($0) }) ? .float : .int))
        case .string(let text):
            text.contains("\n") ? Node(text, Tag(.str), .literal) : Node(text, Tag(.str), .doubleQuoted)
        case .array(let elements): Node(elements.map(node(of:)))
        case .object(let object): Node(object.map { (name(of: $0.name), node(of: $0.value)) })
        }
    }
}
