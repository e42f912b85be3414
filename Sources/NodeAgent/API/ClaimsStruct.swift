internal import SPIFFE
internal import SwiftProtobuf

extension Google_Protobuf_Struct {
    /// Writes the claims of a verified token; the audience always as a list.
    init(claims: JSONObject, audience: [String]) {
        var claims = claims
        claims["aud"] = .array(audience.map { .string($0) })
        self.init()
        for (name, value) in claims { fields[name] = Google_Protobuf_Value(value) }
    }
}

extension Google_Protobuf_Value {
    fileprivate init(_ value: JSONValue) {
        self.init()
        switch value {
        case .null: kind = .nullValue(.nullValue)
        case .bool(let value): kind = .boolValue(value)
        case .number(let text): kind = .numberValue(Double(text) ?? 0)
        case .string(let text): kind = .stringValue(text)
        case .array(let elements):
            kind = .listValue(.with { $0.values = elements.map { Google_Protobuf_Value($0) } })
        case .object(let object):
            kind = .structValue(
                .with { for (name, value) in object { $0.fields[name] = Google_Protobuf_Value(value) } })
        }
    }
}
