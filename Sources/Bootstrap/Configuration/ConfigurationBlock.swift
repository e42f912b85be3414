internal import Foundation
internal import Platform
internal import Yams

/// A mapping inside a YAML configuration file, for what has a shape of its own; read only as the file has it.
package struct ConfigurationBlock: Sendable {
    private enum Value: Sendable {
        case text(String)
        case list([String])
        case block([String: Value])
    }

    /// Where the block stands, such as `server.yaml: node_attestors`.
    package let place: String
    private let members: [String: Value]

    /// Reads a block of a file.
    ///
    /// - Returns: nil when the file has no such key.
    /// - Throws: ``Failure`` with status `configuration` when it is no mapping.
    package init?(path: String, key: String) throws(Failure) {
        let contents: [UInt8]?
        do { contents = try LocalFileSystem().read(path, limit: 1 << 20) } catch {
            throw Failure(.configuration, "\(error)", hint: "give --config a file that can be read")
        }
        guard let contents, let text = String(validating: contents, as: UTF8.self),
            let root = try? Yams.compose(yaml: text), let node = root.mapping?[Node(key)]
        else { return nil }
        guard case .block(let members)? = Self.value(node, depth: 0) else {
            throw Failure(
                .configuration, "\(path): key '\(key)' is not a block", hint: "indent 'key: value' lines below it")
        }
        (self.members, place) = (members, "\(path): \(key)")
    }

    private init(_ members: [String: Value], place: String) { (self.members, self.place) = (members, place) }

    /// Refuses keys that nobody asks for.
    ///
    /// - Throws: ``Failure`` naming the key and those that are known.
    package func requireOnly(_ known: [String]) throws(Failure) {
        for name in members.keys.sorted() where !known.contains(name) {
            throw Failure(
                .configuration, "\(place): unknown key '\(name)'", hint: "known keys: \(known.joined(separator: ", "))")
        }
    }

    /// The names of the members, in order.
    package var names: [String] { members.keys.sorted() }

    /// A block in the block; one with nothing in it is an empty block.
    package func block(_ name: String) throws(Failure) -> ConfigurationBlock? {
        switch members[name] {
        case nil: return nil
        case .block(let inner)?: return ConfigurationBlock(inner, place: "\(place).\(name)")
        case .text(let text)? where text.isEmpty: return ConfigurationBlock([:], place: "\(place).\(name)")
        default: throw wrong(name, "a block")
        }
    }

    /// A text.
    package func text(_ name: String) throws(Failure) -> String? {
        switch members[name] {
        case nil: return nil
        case .text(let text)? where !text.isEmpty: return text
        default: throw wrong(name, "a text")
        }
    }

    /// A text that must be there.
    package func required(_ name: String) throws(Failure) -> String {
        guard let text = try text(name) else {
            throw Failure(.configuration, "\(place): required key '\(name)' is missing")
        }
        return text
    }

    /// A list of texts; one text counts as a list of one.
    package func texts(_ name: String) throws(Failure) -> [String] {
        switch members[name] {
        case nil: return []
        case .text(let text)? where !text.isEmpty: return [text]
        case .list(let texts)?: return texts
        default: throw wrong(name, "a list of texts")
        }
    }

    /// A whole number.
    package func number(_ name: String, in range: ClosedRange<Int>) throws(Failure) -> Int? {
        guard let text = try text(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw wrong(name, "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// `true` or `false`.
    package func flag(_ name: String) throws(Failure) -> Bool? {
        guard let text = try text(name) else { return nil }
        guard let flag = Bool(text) else { throw wrong(name, "true or false") }
        return flag
    }

    private func wrong(_ name: String, _ expected: String) -> Failure {
        Failure(.configuration, "\(place): key '\(name)' is not \(expected)")
    }

    /// Nothing here is nested deeper than a few levels; what is, or has other shapes, is no value.
    private static func value(_ node: Node, depth: Int) -> Value? {
        guard depth < 8 else { return nil }
        switch node {
        case .scalar(let scalar): return .text(scalar.string)
        case .sequence(let sequence):
            let texts = sequence.compactMap(\.scalar?.string)
            return texts.count == sequence.count ? .list(texts) : nil
        case .mapping(let mapping):
            var members: [String: Value] = [:]
            for (key, node) in mapping {
                guard let name = key.scalar?.string, let value = value(node, depth: depth + 1) else { return nil }
                members[name] = value
            }
            return .block(members)
        case .alias: return nil
        }
    }
}
