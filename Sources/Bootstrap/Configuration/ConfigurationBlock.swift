internal import SPIFFE

/// A mapping inside a configuration file, whose keys are judged like those outside.
package struct ConfigurationBlock: Sendable {
    private let object: JSONObject
    /// Where the block stands, such as `server.yaml: node_attestors`.
    package let path: String
    private let hint: String?

    init(_ value: JSONValue, path: String, hint: String?) throws(Failure) {
        guard let object = value.object else {
            throw Failure(.configuration, "\(path) is not a mapping", hint: hint)
        }
        (self.object, self.path, self.hint) = (object, path, hint)
    }

    /// The keys, in the order written.
    package var names: [String] { object.map(\.name) }

    /// Refuses keys that mean nothing.
    ///
    /// - Throws: ``Failure``.
    package func allow(_ known: Set<String>) throws(Failure) {
        guard let name = names.first(where: { !known.contains($0) }) else { return }
        throw Failure(
            .configuration, "\(path): unknown key '\(name)'",
            hint: "known keys: \(known.sorted().joined(separator: ", "))")
    }

    /// The mapping under a key; one with nothing in it is empty, and nil stands for one that is left out.
    ///
    /// - Throws: ``Failure`` when it is no mapping.
    package func block(_ name: String) throws(Failure) -> ConfigurationBlock? {
        guard let value = object[name] else { return nil }
        return try ConfigurationBlock(
            value.string == "" ? .object(JSONObject()) : value, path: "\(path).\(name)", hint: hint)
    }

    /// The mapping under a key that must be there.
    ///
    /// - Throws: ``Failure`` when it is no mapping, or missing.
    package func requiredBlock(_ name: String) throws(Failure) -> ConfigurationBlock {
        guard let block = try block(name) else { throw wrong(name, "given") }
        return block
    }

    /// The text under a key; nil when it is left out.
    ///
    /// - Throws: ``Failure`` when it is no text.
    package func text(_ name: String) throws(Failure) -> String? {
        guard let value = object[name] else { return nil }
        guard let text = value.string, !text.isEmpty else { throw wrong(name, "a text") }
        return text
    }

    /// The text under a key that must be there.
    ///
    /// - Throws: ``Failure`` when it is no text, or missing.
    package func required(_ name: String) throws(Failure) -> String {
        guard let text = try text(name) else {
            throw Failure(.configuration, "\(path): required key '\(name)' is missing", hint: hint)
        }
        return text
    }

    /// The whole number under a key; nil when it is left out.
    ///
    /// - Throws: ``Failure`` when it is not one within the range.
    package func number(_ name: String, in range: ClosedRange<Int>) throws(Failure) -> Int? {
        try value(name, "a whole number from \(range.lowerBound) to \(range.upperBound)") {
            Int($0).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// `true` or `false` under a key; nil when it is left out.
    ///
    /// - Throws: ``Failure`` when it is neither.
    package func flag(_ name: String) throws(Failure) -> Bool? { try value(name, "true or false") { Bool($0) } }

    /// The texts under a key, of which one may stand alone; nil when it is left out.
    ///
    /// - Throws: ``Failure`` when it is no list of texts.
    package func texts(_ name: String) throws(Failure) -> [String]? {
        guard let value = object[name] else { return nil }
        if let text = value.string, !text.isEmpty { return [text] }
        guard let elements = value.array else { throw wrong(name, "a list of texts") }
        let texts = elements.compactMap(\.string)
        guard texts.count == elements.count, !texts.isEmpty else { throw wrong(name, "a list of texts") }
        return texts
    }

    /// What each text under a key stands for; nil when the key is left out.
    ///
    /// - Parameters:
    ///   - name: The key.
    ///   - expected: What each should have been, for the error.
    ///   - parse: Reads a text; nil refuses it.
    /// - Returns: In the order written.
    /// - Throws: ``Failure`` when one is refused.
    package func values<Value>(
        _ name: String, _ expected: String, _ parse: (String) -> Value?
    ) throws(Failure) -> [Value]? {
        guard let texts = try texts(name) else { return nil }
        var values: [Value] = []
        for text in texts {
            guard let value = parse(text) else {
                throw Failure(.configuration, "\(path).\(name): '\(text)' is not \(expected)", hint: hint)
            }
            values.append(value)
        }
        return values
    }

    /// What the text under a key stands for; nil when the key is left out.
    ///
    /// - Throws: ``Failure`` when it is refused.
    package func value<Value>(
        _ name: String, _ expected: String, _ parse: (String) -> Value?
    ) throws(Failure) -> Value? {
        guard let text = try text(name) else { return nil }
        guard let value = parse(text) else { throw wrong(name, expected) }
        return value
    }

    /// An error about a key.
    package func wrong(_ name: String, _ expected: String) -> Failure {
        Failure(.configuration, "\(path).\(name) is not \(expected)", hint: hint)
    }
}
