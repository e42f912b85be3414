internal import Configuration
internal import Foundation
internal import Platform
internal import SPIFFE
internal import SystemPackage
internal import Yams

/// A YAML configuration file with environment overrides, judged against the keys that exist.
package struct ConfigurationFile: Sendable {
    private let reader: ConfigReader
    private let present: Set<String>
    private let keys: [String: ConfigurationKey]
    private let source: String
    private let root: JSONValue

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - keys: Every key that may stand in it.
    ///   - prefix: What environment variables start with, such as `MINTMARK_SERVER`.
    ///   - environment: The process's environment; it wins over the file.
    /// - Throws: ``Failure`` with status `configuration`, naming the key and the nearest known one.
    package init(
        path: String, keys: [ConfigurationKey], prefix: String, environment: [String: String]
    ) async throws(Failure) {
        source = path
        self.keys = Dictionary(keys.map { ($0.name, $0) }, uniquingKeysWith: { one, _ in one })
        root = try Self.contents(of: path)
        let known = keys.map(\.name)
        let names = Self.names(in: root, known: Set(known))
        for name in names where !known.contains(name) {
            if known.contains(where: { $0.hasPrefix("\(name).") }) {
                throw Failure(
                    .configuration, "\(path): '\(name)' is a block, and this is a single value",
                    hint: "write its keys below it, indented; 'mintmark server config' lists them")
            }
            let hint =
                Self.nearest(to: name, among: known).map { "did you mean '\($0)'?" }
                ?? "known keys: \(known.joined(separator: ", "))"
            throw Failure(.configuration, "\(path): unknown key '\(name)'", hint: hint)
        }
        let overridden = keys.filter { environment["\(prefix)_\($0.environmentName)"] != nil }
        present = Set(names).union(overridden.map(\.name))
        let overrides = Dictionary(
            overridden.map { ($0.environmentName, environment["\(prefix)_\($0.environmentName)"] ?? "") },
            uniquingKeysWith: { one, _ in one })
        do {
            reader = ConfigReader(providers: [
                EnvironmentVariablesProvider(environmentVariables: overrides),
                try await FileProvider<YAMLSnapshot>(filePath: FilePath(path)),
            ])
        } catch {
            throw Failure(
                .configuration, "\(path): not a YAML configuration: \(error)", hint: "see 'mintmark server config'")
        }
        for key in keys where key.isRequired && !present.contains(key.name) {
            throw Failure(.configuration, "\(path): required key '\(key.name)' is missing", hint: key.help)
        }
    }

    /// A text, or the key's default.
    ///
    /// - Throws: ``Failure`` when it is not a text.
    package func text(_ name: String) throws(Failure) -> String? {
        guard present.contains(name) else { return keys[name]?.defaultText }
        do { return try reader.requiredString(forKey: Self.key(name)) } catch { throw wrongType(name, "text") }
    }

    /// A whole number, or the key's default.
    ///
    /// - Throws: ``Failure`` when it is not a whole number within the range.
    package func number(_ name: String, in range: ClosedRange<Int>) throws(Failure) -> Int? {
        guard present.contains(name) else { return keys[name]?.defaultText.flatMap { Int($0) } }
        let number: Int
        do { number = try reader.requiredInt(forKey: Self.key(name)) } catch {
            throw wrongType(name, "a whole number")
        }
        guard range.contains(number) else {
            throw wrongType(name, "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A value that is written as text, or the key's default.
    ///
    /// - Parameters:
    ///   - name: The key.
    ///   - expected: What it should have been, for the error.
    ///   - parse: Reads the text; nil refuses it.
    /// - Returns: What `parse` made of the text; nil when the key is absent and has no default.
    /// - Throws: ``Failure`` when it is refused, or not a text.
    package func value<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) throws(Failure) -> Value?
    {
        guard let text = try text(name) else { return nil }
        guard let value = parse(text) else { throw wrongType(name, expected) }
        return value
    }

    /// A mapping with keys of its own, as it stands in the file; the environment cannot override it.
    ///
    /// - Returns: nil when it is left out.
    /// - Throws: ``Failure`` when it is not a mapping.
    package func block(_ name: String) throws(Failure) -> ConfigurationBlock? {
        guard let value = root.object?[name] else { return nil }
        return try ConfigurationBlock(value, path: "\(source): \(name)", hint: keys[name]?.help)
    }

    private func wrongType(_ name: String, _ expected: String) -> Failure {
        Failure(.configuration, "\(source): key '\(name)' is not \(expected)", hint: keys[name]?.help)
    }

    /// The key somebody probably meant: one that has all the words, or else one a few letters away.
    private static func nearest(to name: String, among known: [String]) -> String? {
        let words = Set(name.split(separator: "_"))
        let ranked = known.map { key in
            (key, words.isSubset(of: key.split(separator: "_")) ? 0 : EditDistance.between(key, name))
        }
        return ranked.min { $0.1 < $1.1 }.flatMap { $0.1 <= 4 ? $0.0 : nil }
    }

    /// What stands in the file; what stands in a block that is no key of its own, as `block.key`.
    private static func names(in root: JSONValue, known: Set<String>) -> [String] {
        (root.object ?? JSONObject()).flatMap { member in
            guard !known.contains(member.name), let block = member.value.object else { return [member.name] }
            return block.map { "\(member.name).\($0.name)" }
        }
    }

    private static func key(_ name: String) -> ConfigKey { ConfigKey(name.split(separator: ".").map { String($0) }) }

    private static func contents(of path: String) throws(Failure) -> JSONValue {
        let contents: [UInt8]?
        do { contents = try LocalFileSystem().read(path, limit: 1 << 20) } catch {
            throw Failure(.configuration, "\(error)", hint: "give --config a file that can be read")
        }
        guard let contents else {
            throw Failure(.configuration, "no configuration file at \(path)", hint: "give --config an existing file")
        }
        guard let value = try? YAMLDocument.read(contents), value.object != nil else {
            throw Failure(
                .configuration, "\(path) is not a YAML mapping", hint: "write one 'key: value' a line")
        }
        return value
    }
}
