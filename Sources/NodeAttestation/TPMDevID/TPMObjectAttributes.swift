/// What a TPM says that it does with a key (TPMA_OBJECT, TPM 2.0 Part 2 §8.3).
package struct TPMObjectAttributes: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The key cannot be moved to another TPM.
    package static let fixedTPM = Self(rawValue: 1 << 1)
    /// The key cannot be moved below another key.
    package static let fixedParent = Self(rawValue: 1 << 4)
    /// The TPM drew the secret part itself.
    package static let sensitiveDataOrigin = Self(rawValue: 1 << 5)
    package static let userWithAuthorization = Self(rawValue: 1 << 6)
    package static let administratorWithPolicy = Self(rawValue: 1 << 7)
    package static let noDictionaryAttackProtection = Self(rawValue: 1 << 10)
    /// The key touches nothing but what the TPM itself has made, or made sure of.
    package static let restricted = Self(rawValue: 1 << 16)
    package static let decrypt = Self(rawValue: 1 << 17)
    package static let sign = Self(rawValue: 1 << 18)

    /// A key that was made in the TPM which holds it, and cannot leave it.
    package static let resident: Self = [.fixedTPM, .fixedParent, .sensitiveDataOrigin]
}
