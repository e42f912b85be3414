internal import Yams

/// A YAML or JSON document as it was written, with the line of each part, for messages that somebody can act on.
package struct DocumentNode: Sendable {
    package enum Value: Sendable {
        /// Nothing: `null`, `~`, or left empty.
        case null
        /// A text; whether it was written without quotes, so that it can be taken for a number or a truth value.
        case scalar(String, isPlain: Bool)
        case list([DocumentNode])
        case members([Member])
    }

    /// A name and what stands under it.
    package struct Member: Sendable {
        package let name: String
        package let line: Int
        package let node: DocumentNode
    }

    package let value: Value
    /// From 1.
    package let line: Int

    /// The most parts of a document.
    private static let maximumParts = 500_000

    /// Reads a document.
    ///
    /// Anchors and aliases are refused: they make small texts into large documents. A name may stand once in a mapping.
    ///
    /// - Parameter text: YAML, of which JSON is a part.
    /// - Returns: nil for a document without anything in it.
    /// - Throws: ``DocumentError`` with the line.
    package static func parse(_ text: String) throws(DocumentError) -> DocumentNode? {
        let parser: Parser
        let root: Node?
        do {
            parser = try Parser(yaml: text)
            root = try parser.singleRoot()
        } catch let error as YamlError { throw DocumentError(error) } catch {
            throw DocumentError(line: 1, message: "not YAML: \(error)")
        }
        // Nodes know their anchors only while the parser is there.
        return try withExtendedLifetime(parser) { () throws(DocumentError) in
            guard let root else { return nil }
            var parts = 0
            return try DocumentNode(root, &parts)
        }
    }

    private init(_ node: Node, _ parts: inout Int) throws(DocumentError) {
        let line = node.mark?.line ?? 1
        self.line = line
        parts += 1
        guard parts <= Self.maximumParts else { throw DocumentError(line: line, message: "the document is too large") }
        guard node.anchor == nil else {
            throw DocumentError(line: line, message: "anchors and aliases are not allowed; write it out")
        }
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain || scalar.style == .any
            value =
                isPlain && ["", "~", "null"].contains(scalar.string)
                ? .null : .scalar(scalar.string, isPlain: isPlain)
        case .sequence(let sequence):
            var elements: [DocumentNode] = []
            for element in sequence { elements.append(try DocumentNode(element, &parts)) }
            value = .list(elements)
        case .mapping(let mapping):
            var members: [Member] = []
            for (key, element) in mapping {
                let keyLine = key.mark?.line ?? line
                guard key.anchor == nil, case .scalar(let name) = key else {
                    throw DocumentError(line: keyLine, message: "a key must be a text")
                }
                members.append(Member(name: name.string, line: keyLine, node: try DocumentNode(element, &parts)))
            }
            value = .members(members)
        case .alias:
            throw DocumentError(line: line, message: "anchors and aliases are not allowed; write it out")
        }
    }
}

/// Why a document cannot be read, and where.
package struct DocumentError: Error, Hashable {
    /// From 1.
    package let line: Int
    package let message: String

    package init(line: Int, message: String) { (self.line, self.message) = (line, message) }

    fileprivate init(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            self.init(line: mark.line, message: problem)
        case .duplicatedKeysInMapping(let duplicates, let context):
            self.init(
                line: context.mark.line, message: "key '\(duplicates.sorted().first ?? "")' stands there more than once"
            )
        default: self.init(line: 1, message: "not YAML")
        }
    }
}
