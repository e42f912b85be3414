internal import Foundation
internal import SPIFFE

/// A JSON object that one half of a way to attest sends the other.
///
/// Bytes are in base64 with padding, as the field's attestors write them; members that nobody asks for are passed over.
struct EvidenceMessage {
    private let object: JSONObject
    private let name: String

    /// Parses a message.
    ///
    /// - Parameters:
    ///   - bytes: The text; at most ``NodeAttestationLimits/payload`` bytes of it are read.
    ///   - name: What it is, for errors.
    /// - Throws: ``NodeAttestationError/malformed(_:)``.
    init(_ bytes: [UInt8], as name: String) throws(NodeAttestationError) {
        guard let value = try? JSONValue(parsing: bytes, limit: NodeAttestationLimits.payload),
            let object = value.object
        else { throw .malformed("\(name) is not a JSON object") }
        self.init(object, as: name)
    }

    private init(_ object: JSONObject, as name: String) { (self.object, self.name) = (object, name) }

    /// A text.
    func text(_ member: String) throws(NodeAttestationError) -> String {
        guard let text = object[member]?.string else { throw missing(member) }
        return text
    }

    /// A whole number that is not negative.
    func number(_ member: String) throws(NodeAttestationError) -> UInt64 {
        guard let number = object[member]?.unsignedInteger else { throw missing(member) }
        return number
    }

    /// Bytes.
    func bytes(_ member: String) throws(NodeAttestationError) -> [UInt8] {
        guard let bytes = object[member]?.string.flatMap({ Data(base64Encoded: $0) }) else { throw missing(member) }
        return Array(bytes)
    }

    /// A list of bytes.
    func list(_ member: String) throws(NodeAttestationError) -> [[UInt8]] {
        guard let elements = object[member]?.array else { throw missing(member) }
        var list: [[UInt8]] = []
        for element in elements {
            guard let bytes = element.string.flatMap({ Data(base64Encoded: $0) }) else { throw missing(member) }
            list.append(Array(bytes))
        }
        return list
    }

    /// An object in the object; nil when it is absent or null.
    func message(_ member: String) throws(NodeAttestationError) -> EvidenceMessage? {
        switch object[member] {
        case nil, .null?: return nil
        case .object(let inner)?: return EvidenceMessage(inner, as: "\(name)'s \(member)")
        default: throw missing(member)
        }
    }

    private func missing(_ member: String) -> NodeAttestationError {
        .malformed("\(name) has no sound '\(member)'")
    }
}

extension JSONValue {
    /// Bytes as base64 with padding.
    static func base64(_ bytes: some Sequence<UInt8>) -> JSONValue {
        .string(Data(Array(bytes)).base64EncodedString())
    }

    /// The value as the bytes of a message.
    var message: [UInt8] { Array(compactText.utf8) }
}
