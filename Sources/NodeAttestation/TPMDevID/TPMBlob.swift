/// A structure of a TPM as it lies in a file.
enum TPMBlob {
    /// The longest file read, in bytes.
    static let maximumLength = 4096

    /// The structure without the length before it, where there is one.
    ///
    /// The TPM2 tools write the length, others leave it out; neither public areas nor private parts can be mistaken,
    /// because none is as short as the number with which it begins says.
    static func content(of file: [UInt8]) -> [UInt8] {
        guard file.count > 2, Int(file[0]) << 8 | Int(file[1]) == file.count - 2 else { return file }
        return Array(file.dropFirst(2))
    }
}
