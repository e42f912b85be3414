/// The value of one claim, as the token states it.
public enum JWTClaim: Hashable, Sendable {
    /// Stated to be nothing, which is not the same as not stated.
    case null
    /// True or false.
    case bool(Bool)
    /// A number written without fraction or exponent that fits 64 bits.
    case integer(Int64)
    /// Any other number; always finite.
    case number(Double)
    /// A text.
    case text(String)
    /// A list, in order.
    case list([JWTClaim])
    /// Members by name.
    case object([String: JWTClaim])

    /// The text, if this is one.
    public var text: String? {
        if case .text(let text) = self { text } else { nil }
    }

    /// The texts, if this is a list of nothing else, or a single text.
    ///
    /// Roles and groups are written either way.
    public var texts: [String]? {
        switch self {
        case .text(let text): return [text]
        case .list(let elements):
            let texts = elements.compactMap(\.text)
            return texts.count == elements.count ? texts : nil
        default: return nil
        }
    }

    init(_ value: JSONValue) {
        switch value {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .number(let text): self = Int64(text).map { .integer($0) } ?? .number(Double(text) ?? 0)
        case .string(let text): self = .text(text)
        case .array(let elements): self = .list(elements.map { JWTClaim($0) })
        case .object(let object):
            self = .object(Dictionary(object.map { ($0.name, JWTClaim($0.value)) }) { first, _ in first })
        }
    }
}
