/// Numbers that TPM 2.0 Part 2 gives to what is used here.
enum TPMNumber {
    // Algorithms (§6.3).
    static let rsa: UInt16 = 0x0001
    static let aes: UInt16 = 0x0006
    static let null: UInt16 = 0x0010
    static let rsassa: UInt16 = 0x0014
    static let ecdsa: UInt16 = 0x0018
    static let elliptic: UInt16 = 0x0023
    static let cfb: UInt16 = 0x0043

    // Structure tags (§6.9).
    static let noSessions: UInt16 = 0x8001
    static let sessions: UInt16 = 0x8002
    static let certification: UInt16 = 0x8017
    static let hashTicket: UInt16 = 0x8024

    /// What begins everything that only a TPM itself can have signed with a restricted key (§6.2).
    static let generated: UInt32 = 0xFF54_4347

    // Handles (§7.4).
    static let owner: UInt32 = 0x4000_0001
    static let nullHandle: UInt32 = 0x4000_0007
    static let password: UInt32 = 0x4000_0009
    static let endorsement: UInt32 = 0x4000_000B

    /// A big-endian number at full length; TPMs may leave out leading zeros.
    static func padded(_ bytes: [UInt8], to size: Int) throws(TPMFormatError) -> [UInt8] {
        guard bytes.count <= size else { throw TPMFormatError("a number is longer than \(size) bytes") }
        return [UInt8](repeating: 0, count: size - bytes.count) + bytes
    }
}
