internal import Crypto
internal import Foundation
internal import IssuerDomain
internal import Platform

/// A private key encrypted for the disk: AES-256-GCM, which also vouches for the name and type it stands under.
///
/// | bytes | |
/// |---|---|
/// | 8 | `MMKEY`, two zeros, version 1 |
/// | 1 | key derivation: 1 scrypt, 2 HKDF |
/// | 3 | scrypt's log2 N, r and p; zeros for HKDF |
/// | 16 | salt |
/// | 16 | check: derived beside the key, the same for the right secret alone |
/// | 1 | type of the signing key |
/// | 12 | nonce |
/// | rest | ciphertext of the PKCS#8 DER, and the tag of 16 bytes |
///
/// What is authenticated beside it is all before the nonce, and the name in UTF-8.
enum KeyEnvelope {
    private static let magic: [UInt8] = Array("MMKEY".utf8) + [0, 0, 1]
    private static let headerLength =
        8 + 4 + KeyEncryption.Derivation.saltLength + KeyEncryption.Derived.checkLength + 1
    private static let types: [(UInt8, SigningKeyType)] = [
        (1, .ecP256), (2, .ecP384), (3, .rsa2048), (4, .rsa4096),
    ]

    /// What reading one back may cost: 256 MiB for each of four lanes, one after the other.
    private static let (costs, parallelisms) = (10...18, 1...4)

    /// Whether a file holds an envelope rather than a bare key.
    static func isOne(_ contents: [UInt8]) -> Bool { contents.starts(with: magic.prefix(5)) }

    /// Encrypts a key.
    ///
    /// - Throws: `failed`.
    static func seal(
        _ key: SoftwareSigningKey, name: String, with encryption: KeyEncryption, using entropy: inout some Entropy
    ) throws(KeyStoreError) -> [UInt8] {
        let derivation = encryption.derivation(using: &entropy)
        let derived = try encryption.derive(derivation)
        var header = magic
        switch derivation.function {
        case .scrypt(let cost, let blockSize, let parallelism):
            header += [1, UInt8(clamping: cost), UInt8(clamping: blockSize), UInt8(clamping: parallelism)]
        case .hkdf: header += [2, 0, 0, 0]
        }
        header += derivation.salt + derived.check
        header += types.filter { $0.1 == key.type }.map(\.0)
        do {
            let box = try AES.GCM.seal(
                key.pkcs8, using: derived.key, nonce: AES.GCM.Nonce(data: entropy.bytes(12)),
                authenticating: header + Array(name.utf8))
            return header + Array(box.nonce) + Array(box.ciphertext) + Array(box.tag)
        } catch { throw .failed(detail: "key '\(name)' cannot be encrypted") }
    }

    /// Decrypts a key.
    ///
    /// - Throws: `wrongSecret` when it was encrypted with another passphrase or key file; `damaged` when it is not what
    ///   was written under this name.
    static func open(
        _ contents: [UInt8], name: String, with encryption: KeyEncryption
    ) throws(KeyStoreError) -> SoftwareSigningKey {
        guard contents.count > headerLength + 12 + 16, contents.starts(with: magic) else { throw .damaged(name: name) }
        let header = contents[..<headerLength]
        let function: KeyEncryption.Derivation.Function
        switch header[8] {
        case 1:
            let (cost, blockSize, parallelism) = (Int(header[9]), Int(header[10]), Int(header[11]))
            guard costs.contains(cost), blockSize == 8, parallelisms.contains(parallelism) else {
                throw .damaged(name: name)
            }
            function = .scrypt(cost: cost, blockSize: blockSize, parallelism: parallelism)
        case 2: function = .hkdf
        default: throw .damaged(name: name)
        }
        let derived = try encryption.derive(
            KeyEncryption.Derivation(
                function: function, salt: Array(header[12..<(12 + KeyEncryption.Derivation.saltLength)])))
        let check = header[(12 + KeyEncryption.Derivation.saltLength)..<(headerLength - 1)]
        guard check.elementsEqual(derived.check) else { throw .wrongSecret(name: name) }
        guard let box = try? AES.GCM.SealedBox(combined: contents[headerLength...]),
            let plain = try? AES.GCM.open(
                box, using: derived.key, authenticating: Array(header) + Array(name.utf8)),
            let key = SoftwareSigningKey(pkcs8: plain),
            types.contains(where: { $0.0 == header[headerLength - 1] && $0.1 == key.type })
        else { throw .damaged(name: name) }
        return key
    }
}
