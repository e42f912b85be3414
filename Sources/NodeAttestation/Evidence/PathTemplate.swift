/// How an agent's path is made from what was proven of it, such as `/{{ .PluginName }}/{{ .Fingerprint }}`.
///
/// The placeholders are spelled as in the field's configurations; of their template language there is nothing else.
package struct PathTemplate: Hashable, Sendable {
    private enum Part: Hashable, Sendable {
        case text(String)
        case field(String)
    }

    private static let maximumLength = 1024

    private let parts: [Part]

    /// Parses a template.
    ///
    /// - Parameters:
    ///   - text: The template; it starts with the attestor's name as the first segment.
    ///   - type: The attestor.
    ///   - fields: What placeholders may name; a name that ends in a dot stands for all that begin with it.
    /// - Throws: ``PathTemplateError``.
    package init(parsing text: String, type: String, fields: Set<String>) throws(PathTemplateError) {
        guard text.utf8.count <= Self.maximumLength else { throw .tooLong }
        var parts: [Part] = []
        var rest = Substring(text)
        while let open = rest.firstRange(of: "{{") {
            if open.lowerBound > rest.startIndex { parts.append(.text(String(rest[..<open.lowerBound]))) }
            guard let close = rest[open.upperBound...].firstRange(of: "}}") else { throw .unclosed }
            let name = rest[open.upperBound..<close.lowerBound].filter { $0 != " " }
            guard name.hasPrefix(".") else { throw .unknownField(String(name)) }
            let field = String(name.dropFirst())
            // A field that ends in a full stop is a family, of which a member has to be named.
            let isKnown = fields.contains { $0.hasSuffix(".") ? field.hasPrefix($0) && field != $0 : field == $0 }
            guard isKnown else { throw .unknownField(field) }
            parts.append(.field(field))
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
        // What another attestor's agents are called must be out of reach.
        let opening = parts.reduce(into: "") { opening, part in
            switch part {
            case .text(let text): opening += text
            case .field("PluginName"): opening += type
            case .field: opening += "\u{0}"
            }
        }
        guard opening.hasPrefix("/\(type)/") else { throw .outsideOfType(type) }
        self.parts = parts
    }

    /// Fills in what was proven.
    ///
    /// - Parameters:
    ///   - values: By field.
    ///   - mayHoldSlashes: The fields whose values are paths; a slash in another is refused.
    /// - Returns: The path, without its first slash.
    /// - Throws: ``NodeAttestationError/refused(_:)`` when a value is missing or may not stand in a path.
    func path(
        _ values: [String: String], mayHoldSlashes: Set<String> = []
    ) throws(NodeAttestationError) -> String {
        var path = ""
        for part in parts {
            switch part {
            case .text(let text): path += text
            case .field(let field):
                guard let value = values[field], !value.isEmpty else {
                    throw .refused("the agent's ID needs \(field), of which nothing was proven")
                }
                guard mayHoldSlashes.contains(field) || !value.utf8.contains(UInt8(ascii: "/")) else {
                    throw .refused("\(field) holds a slash, which would lead elsewhere in the agent's ID")
                }
                path += value
            }
        }
        return String(path.dropFirst())
    }
}

/// Why a path template was refused.
package enum PathTemplateError: Error, Hashable {
    case tooLong
    case unclosed
    case unknownField(String)
    case outsideOfType(String)
}

extension PathTemplateError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tooLong: "path template is longer than 1024 bytes"
        case .unclosed: "path template opens '{{' without '}}'"
        case .unknownField(let name): "path template names '\(name)', which is nothing that is proven"
        case .outsideOfType(let type): "path template must start with '/\(type)/'"
        }
    }
}
