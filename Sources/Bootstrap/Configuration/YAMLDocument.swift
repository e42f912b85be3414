package import SPIFFE
internal import Yams

/// YAML as a value.
package enum YAMLDocument {
    /// Not YAML, or more than a configuration can mean.
    package struct Malformed: Error {}

    /// The most values in one document: references to what stands elsewhere can multiply them.
    private static let maximumValues = 100_000

    /// Reads one document; scalars are texts, however they are written.
    ///
    /// - Throws: ``Malformed``.
    package static func read(_ bytes: [UInt8]) throws(Malformed) -> JSONValue {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Malformed() }
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch { throw Malformed() }
        var budget = maximumValues
        return try value(of: root ?? Node(""), budget: &budget)
    }

    private static func value(of node: Node, budget: inout Int) throws(Malformed) -> JSONValue {
        budget -= 1
        guard budget > 0 else { throw Malformed() }
        switch node {
        case .scalar(let scalar): return .string(scalar.string)
        case .sequence(let sequence):
            var elements: [JSONValue] = []
            for element in sequence { elements.append(try value(of: element, budget: &budget)) }
            return .array(elements)
        case .mapping(let mapping):
            var object = JSONObject()
            for (key, element) in mapping {
                guard let name = key.string, object[name] == nil else { throw Malformed() }
                object[name] = try value(of: element, budget: &budget)
            }
            return .object(object)
        case .alias: throw Malformed()
        }
    }
}
