/// What keys a TPM is asked to make, as the field's other tools ask for them: the same template is the same key.
enum TPMTemplate {
    /// A storage root key (TCG EK Credential Profile 2.3, templates H-1 and H-2 as adapted by the field).
    static func storageRoot(for key: TPMPublicArea.Key) throws(TPMFormatError) -> [UInt8] {
        let attributes: TPMObjectAttributes = [
            .resident, .restricted, .decrypt, .userWithAuthorization, .noDictionaryAttackProtection,
        ]
        return switch key {
        case .rsa: try rsa(attributes, uniqueSize: 0) { aes(&$0) }
        case .elliptic: try p256(attributes, uniqueSize: 0)
        }
    }

    /// An RSA attestation key: the field's issuers accept no other.
    static func attestationKey() throws(TPMFormatError) -> [UInt8] {
        let attributes: TPMObjectAttributes = [
            .resident, .restricted, .sign, .userWithAuthorization, .noDictionaryAttackProtection,
        ]
        return try rsa(attributes, uniqueSize: 0) { writer in
            writer.uint16(TPMNumber.null)
            TPMSignatureScheme.rsassa(.sha256).write(to: &writer)
        }
    }

    /// An endorsement key (templates L-1 and L-2).
    static func endorsementKey(_ kind: TPMEndorsement) throws(TPMFormatError) -> [UInt8] {
        let attributes: TPMObjectAttributes = [.resident, .restricted, .decrypt, .administratorWithPolicy]
        return switch kind {
        case .rsa2048: try rsa(attributes, policy: endorsementPolicy, uniqueSize: 256) { aes(&$0) }
        case .p256: try p256(attributes, policy: endorsementPolicy, uniqueSize: 32)
        }
    }

    /// The digest of a policy of TPM2_PolicySecret with the endorsement hierarchy's password (EK Credential Profile
    /// §B.6.5).
    private static let endorsementPolicy: [UInt8] = [
        0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8, 0x1A, 0x90, 0xCC, 0x8D, 0x46, 0xA5, 0xD7, 0x24,
        0xFD, 0x52, 0xD7, 0x6E, 0x06, 0x52, 0x0B, 0x64, 0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA,
    ]

    private static func rsa(
        _ attributes: TPMObjectAttributes, policy: [UInt8] = [], uniqueSize: Int,
        schemes: (inout TPMWriter) -> Void
    ) throws(TPMFormatError) -> [UInt8] {
        var writer = try head(TPMNumber.rsa, attributes, policy)
        schemes(&writer)
        writer.uint16(2048)
        writer.uint32(0)
        try writer.sized([UInt8](repeating: 0, count: uniqueSize))
        return writer.bytes
    }

    private static func p256(
        _ attributes: TPMObjectAttributes, policy: [UInt8] = [], uniqueSize: Int
    ) throws(TPMFormatError) -> [UInt8] {
        var writer = try head(TPMNumber.elliptic, attributes, policy)
        aes(&writer)
        writer.uint16(TPMCurve.p256.rawValue)
        writer.uint16(TPMNumber.null)
        for _ in 0..<2 { try writer.sized([UInt8](repeating: 0, count: uniqueSize)) }
        return writer.bytes
    }

    private static func head(
        _ type: UInt16, _ attributes: TPMObjectAttributes, _ policy: [UInt8]
    ) throws(TPMFormatError) -> TPMWriter {
        var writer = TPMWriter()
        writer.uint16(type)
        writer.uint16(TPMHash.sha256.rawValue)
        writer.uint32(attributes.rawValue)
        try writer.sized(policy)
        return writer
    }

    /// AES-128 in CFB mode for what the key protects, and no way to sign.
    private static func aes(_ writer: inout TPMWriter) {
        writer.uint16(TPMNumber.aes)
        writer.uint16(128)
        writer.uint16(TPMNumber.cfb)
        writer.uint16(TPMNumber.null)
    }
}

/// The endorsement keys that a TPM may have a certificate for, in the order in which they are tried.
enum TPMEndorsement: CaseIterable {
    case rsa2048
    case p256

    /// Where the certificate lies (EK Credential Profile §2.2.1.4).
    var certificateIndex: UInt32 {
        switch self {
        case .rsa2048: 0x01C0_0002
        case .p256: 0x01C0_000A
        }
    }
}
