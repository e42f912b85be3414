/// A JSON text as a value: numbers keep their spelling, objects keep their order and never name a member twice.
///
/// Foundation's parser silently keeps one of two equal member names, which lets a token say one thing to one reader and
/// another to the next; this one refuses.
package enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    /// The number as it was written, so that 2^63 stays exact.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// A whole number.
    package static func integer(_ value: some BinaryInteger) -> JSONValue { .number(String(value)) }

    /// An object from its members, in order.
    package static func members(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(JSONObject(members.map { ($0.key, $0.value) }))
    }

    /// The text, if this is a string.
    package var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The elements, if this is an array.
    package var array: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// The members, if this is an object.
    package var object: JSONObject? {
        if case .object(let object) = self { object } else { nil }
    }

    /// The number as a double, if it is one.
    package var double: Double? {
        if case .number(let text) = self { Double(text) } else { nil }
    }

    /// The number as a non-negative integer, if it is written as one.
    package var unsignedInteger: UInt64? {
        if case .number(let text) = self { UInt64(text) } else { nil }
    }
}
