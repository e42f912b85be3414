internal import Crypto
internal import CryptoExtras
internal import Foundation
package import Platform

/// A secret that a TPM gives away only when it holds two keys: one that it is encrypted for, and one that it names.
///
/// What TPM2_MakeCredential does (TPM 2.0 Part 3 §12.6, by Part 1 §24), without a TPM.
package struct TPMCredential: Hashable, Sendable {
    /// The secret with its protection (TPM2B_ID_OBJECT without its length).
    package let blob: [UInt8]
    /// What the protection follows from, encrypted (TPM2B_ENCRYPTED_SECRET without its length).
    package let encryptedSeed: [UInt8]

    package init(blob: [UInt8], encryptedSeed: [UInt8]) { (self.blob, self.encryptedSeed) = (blob, encryptedSeed) }

    /// Protects a secret.
    ///
    /// - Parameters:
    ///   - secret: At most as long as a digest of the endorsement key's name.
    ///   - name: The TPM's name of the other key.
    ///   - endorsementKey: A key that protects others, and whose private part only its TPM has.
    ///   - entropy: Where the seed comes from.
    /// - Throws: ``TPMFormatError`` when the endorsement key is of a kind that protects nothing.
    package init(
        protecting secret: [UInt8], for name: [UInt8], endorsementKey: TPMPublicArea, using entropy: inout some Entropy
    ) throws(TPMFormatError) {
        let hash = endorsementKey.nameAlgorithm
        guard let keySize = endorsementKey.protectionKeySize else {
            throw TPMFormatError("the endorsement key protects no others")
        }
        guard secret.count <= hash.size else { throw TPMFormatError("the secret is too long") }
        let seed: [UInt8]
        (seed, encryptedSeed) = try Self.seed(for: endorsementKey, using: &entropy)
        let encryptionKey = TPMKeyDerivation.fromKey(hash, key: seed, label: "STORAGE", context: name, bits: keySize)
        let integrityKey = TPMKeyDerivation.fromKey(
            hash, key: seed, label: "INTEGRITY", context: [], bits: hash.size * 8)
        var plain = TPMWriter()
        try plain.sized(secret)
        let encrypted = try Self.encrypted(plain.bytes, key: encryptionKey)
        var blob = TPMWriter()
        try blob.sized(hash.authenticationCode(encrypted + name, key: integrityKey))
        blob.append(encrypted)
        self.blob = blob.bytes
    }

    private static let label = "IDENTITY"

    /// Draws a seed as long as a digest (TPM 2.0 Part 1 §B.10.4, §C.6.3), and encrypts it.
    private static func seed(
        for key: TPMPublicArea, using entropy: inout some Entropy
    ) throws(TPMFormatError) -> (plain: [UInt8], encrypted: [UInt8]) {
        let hash = key.nameAlgorithm
        switch key.key {
        case .rsa(_, let bytes):
            let seed = entropy.bytes(hash.size)
            let block = OAEPEncoding.block(
                of: seed, label: TPMKeyDerivation.terminated(label), hash: hash, seed: entropy.bytes(hash.size),
                size: bytes.count)
            guard let block,
                let operation = RSAPublicOperation(modulus: bytes, exponent: [1, 0, 1]),
                let encrypted = operation(block)
            else {
                throw TPMFormatError("the endorsement key cannot be encrypted for")
            }
            return (seed, encrypted)
        case .elliptic(let curve, let x, let y):
            guard let agreement = EphemeralAgreement(with: [4] + x + y, on: curve, using: &entropy) else {
                throw TPMFormatError("the endorsement key cannot be encrypted for")
            }
            var point = TPMWriter()
            try point.sized(agreement.x)
            try point.sized(agreement.y)
            let seed = TPMKeyDerivation.fromAgreement(
                hash, secret: agreement.secret, label: label, ephemeral: agreement.x, recipient: x)
            return (seed, point.bytes)
        }
    }

    private static func encrypted(_ bytes: [UInt8], key: [UInt8]) throws(TPMFormatError) -> [UInt8] {
        // The key is used once, so the first block may be zero (TPM 2.0 Part 1 §24.4).
        guard let start = try? AES._CFB.IV(ivBytes: [UInt8](repeating: 0, count: 16)),
            let encrypted = try? AES._CFB.encrypt(bytes, using: SymmetricKey(data: key), iv: start)
        else { throw TPMFormatError("the credential cannot be encrypted") }
        return Array(encrypted)
    }
}
