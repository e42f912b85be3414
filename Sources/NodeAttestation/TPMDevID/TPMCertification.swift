/// A TPM's statement that it holds a key (TPMS_ATTEST of the kind that TPM2_Certify makes, TPM 2.0 Part 2 §10.12.12).
///
/// It is worth what the key is worth that signed it.
package struct TPMCertification: Hashable, Sendable {
    /// What the TPM calls the key that it certifies.
    package let name: [UInt8]

    /// Parses a statement, without its length before it.
    ///
    /// - Throws: ``TPMFormatError``, also when it is a statement of another kind, or something follows it.
    package init(parsing bytes: [UInt8]) throws(TPMFormatError) {
        var reader = TPMReader(bytes)
        guard try reader.uint32() == TPMNumber.generated else { throw TPMFormatError("it does not come from a TPM") }
        guard try reader.uint16() == TPMNumber.certification else {
            throw TPMFormatError("it is not about a key's being held")
        }
        let nameLimit = 2 + 64
        _ = try reader.sized(limit: nameLimit)  // the signer's qualified name
        _ = try reader.sized(limit: nameLimit)  // what the caller added
        _ = try reader.bytes(8 + 4 + 4 + 1)  // the clock
        _ = try reader.bytes(8)  // the firmware
        name = try reader.sized(limit: nameLimit)
        _ = try reader.sized(limit: nameLimit)  // the key's qualified name
        try reader.end()
    }
}
