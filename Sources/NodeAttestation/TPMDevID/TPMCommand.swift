/// The commands used, by their numbers (TPM 2.0 Part 2 §6.5.2).
package enum TPMCommand: UInt32, Hashable, Sendable {
    case createPrimary = 0x131
    case activateCredential = 0x147
    case certify = 0x148
    case readNonvolatile = 0x14E
    case policySecret = 0x151
    case create = 0x153
    case load = 0x157
    case sign = 0x15D
    case loadContext = 0x161
    case saveContext = 0x162
    case flushContext = 0x165
    case readNonvolatilePublic = 0x169
    case startAuthorizationSession = 0x176
    case hash = 0x17D
}

extension TPMCommand: CustomStringConvertible {
    /// The name that Part 3 gives the command.
    package var description: String {
        switch self {
        case .createPrimary: "TPM2_CreatePrimary"
        case .activateCredential: "TPM2_ActivateCredential"
        case .certify: "TPM2_Certify"
        case .readNonvolatile: "TPM2_NV_Read"
        case .policySecret: "TPM2_PolicySecret"
        case .create: "TPM2_Create"
        case .load: "TPM2_Load"
        case .sign: "TPM2_Sign"
        case .loadContext: "TPM2_ContextLoad"
        case .saveContext: "TPM2_ContextSave"
        case .flushContext: "TPM2_FlushContext"
        case .readNonvolatilePublic: "TPM2_NV_ReadPublic"
        case .startAuthorizationSession: "TPM2_StartAuthSession"
        case .hash: "TPM2_Hash"
        }
    }
}
