internal import CPKCS11

/// One line of a template: what an object has, or is to have.
struct PKCS11Attribute: Hashable {
    let type: CK_ULONG
    let value: [UInt8]

    static func bytes(_ type: CK_ULONG, _ value: [UInt8]) -> PKCS11Attribute { .init(type: type, value: value) }

    static func flag(_ type: CK_ULONG, _ value: Bool) -> PKCS11Attribute { .init(type: type, value: [value ? 1 : 0]) }

    static func number(_ type: CK_ULONG, _ value: CK_ULONG) -> PKCS11Attribute {
        .init(type: type, value: withUnsafeBytes(of: value) { Array($0) })
    }

    /// Lends attributes to a call in the shape that the standard has for them.
    static func with<Value>(
        _ attributes: [PKCS11Attribute], _ body: (UnsafeMutablePointer<CK_ATTRIBUTE>?, CK_ULONG) -> Value
    ) -> Value {
        var values = attributes.flatMap(\.value)
        return values.withUnsafeMutableBytes { buffer in
            var position = 0
            var lines = attributes.map { attribute in
                defer { position += attribute.value.count }
                return CK_ATTRIBUTE(
                    type: attribute.type, value: buffer.baseAddress.map { $0 + position },
                    value_length: CK_ULONG(attribute.value.count))
            }
            return lines.withUnsafeMutableBufferPointer { body($0.baseAddress, CK_ULONG($0.count)) }
        }
    }
}
