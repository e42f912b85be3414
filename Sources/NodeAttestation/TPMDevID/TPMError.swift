/// Why a TPM did not do what it was asked to.
package enum TPMError: Error, Hashable {
    /// It cannot be reached, or went away.
    case transport(String)
    /// It answered with an error (TPM 2.0 Part 2 §6.6).
    case refused(TPMCommand, code: UInt32)
    /// What it answered, or should be asked, is not well formed.
    case malformed(TPMCommand, TPMFormatError)
}

extension TPMError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .transport(let detail): "the TPM cannot be used: \(detail)"
        case .refused(let command, let code):
            "the TPM refused \(command) with 0x\(String(code, radix: 16))\(Self.hint(code))"
        case .malformed(let command, let error): "\(command): \(error)"
        }
    }

    /// What an admin can do about the errors that come from how a machine is set up.
    private static func hint(_ code: UInt32) -> String {
        // Errors of handles, sessions and parameters say in other bits which one is meant.
        switch code & 0x80 == 0 ? code : code & 0xBF {
        case 0x08E, 0x0A2, 0x98E, 0x9A2: ": a password is wrong"
        case 0x09F: ": the key was not made by this TPM"
        case 0x08B: ": there is no such key or certificate"
        case 0x902: ": too many keys are loaded"
        case 0x921: ": it is locked after too many wrong passwords"
        default: ""
        }
    }
}
