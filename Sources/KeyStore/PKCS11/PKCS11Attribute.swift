internal import CPKCS11

/// One line of a template: what an object has, or is to have.
struct PKCS11Attribute: Hashable {
    let type: CK_ULONG
    let value: [UInt8]

    static func bytes(_ type: CK_ULONG, _ value: [UInt8]) -> PKCS11Attribute { .init(type: type, value: value) }

    static func flag(_ type: CK_ULONG, _ value: Bool) -> PKCS11Attribute { .init(type: type, value: [value ? 1 : 0]) }

    static func number(_ type: CK_ULONG, _ value: CK_ULONG) -> PKCS11Attribute {
        .init(type: type, value: bytes(of: value))
    }

    /// Attributes as calls take them.
    static func template(_ attributes: [PKCS11Attribute]) -> [UInt8] {
        attributes.flatMap { attribute in
            let padding = (unit - attribute.value.count % unit) % unit
            return bytes(of: attribute.type) + bytes(of: CK_ULONG(attribute.value.count)) + attribute.value
                + [UInt8](repeating: 0, count: padding)
        }
    }

    private static let unit = MemoryLayout<CK_ULONG>.size

    private static func bytes(of number: CK_ULONG) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: unit)
        mintmark_pkcs11_write(number, &bytes)
        return bytes
    }
}
