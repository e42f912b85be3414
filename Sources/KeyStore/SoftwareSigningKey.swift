internal import Crypto
internal import CryptoExtras
package import Foundation
package import IssuerDomain
package import X509

/// A private key in this process's memory.
package struct SoftwareSigningKey: SigningKey {
    private enum Material: Sendable {
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case rsa(_RSA.Signing.PrivateKey)
    }

    package let type: SigningKeyType
    private let material: Material

    /// Makes a new key.
    ///
    /// - Parameter type: What kind of key.
    /// - Throws: ``KeyStoreError``.
    package init(generating type: SigningKeyType) throws(KeyStoreError) {
        self.type = type
        do {
            switch type {
            case .ecP256: material = .p256(P256.Signing.PrivateKey())
            case .ecP384: material = .p384(P384.Signing.PrivateKey())
            case .rsa2048: material = .rsa(try _RSA.Signing.PrivateKey(keySize: .bits2048))
            case .rsa4096: material = .rsa(try _RSA.Signing.PrivateKey(keySize: .bits4096))
            }
        } catch { throw .failed(detail: "cannot generate a key of type \(type.rawValue)") }
    }

    /// Reads a key back; nil when it is not a key of a kind that authorities may have.
    ///
    /// - Parameter pkcs8: Unencrypted PKCS#8 DER.
    package init?(pkcs8: Data) {
        if let key = try? P256.Signing.PrivateKey(derRepresentation: pkcs8) {
            (type, material) = (.ecP256, .p256(key))
        } else if let key = try? P384.Signing.PrivateKey(derRepresentation: pkcs8) {
            (type, material) = (.ecP384, .p384(key))
        } else if let key = try? _RSA.Signing.PrivateKey(derRepresentation: pkcs8) {
            switch key.keySizeInBits {
            case 2048: type = .rsa2048
            case 4096: type = .rsa4096
            default: return nil
            }
            material = .rsa(key)
        } else {
            return nil
        }
    }

    /// The key as unencrypted PKCS#8 DER, for the disk store alone.
    var pkcs8: Data {
        switch material {
        case .p256(let key): key.derRepresentation
        case .p384(let key): key.derRepresentation
        case .rsa(let key): key.pkcs8DERRepresentation
        }
    }

    package var signsElsewhere: Bool { false }

    package var certificateKey: Certificate.PrivateKey {
        switch material {
        case .p256(let key): Certificate.PrivateKey(key)
        case .p384(let key): Certificate.PrivateKey(key)
        case .rsa(let key): Certificate.PrivateKey(key)
        }
    }

    package var publicKeyDER: Data {
        switch material {
        case .p256(let key): key.publicKey.derRepresentation
        case .p384(let key): key.publicKey.derRepresentation
        case .rsa(let key): key.publicKey.derRepresentation
        }
    }

    package func jwsSignature(for input: Data) throws(KeyStoreError) -> Data {
        do {
            switch material {
            case .p256(let key): return try key.signature(for: SHA256.hash(data: input)).rawRepresentation
            case .p384(let key): return try key.signature(for: SHA384.hash(data: input)).rawRepresentation
            case .rsa(let key):
                return try key.signature(for: SHA256.hash(data: input), padding: .insecurePKCS1v1_5).rawRepresentation
            }
        } catch { throw .failed(detail: "signature failed") }
    }
}

extension SoftwareSigningKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "SoftwareSigningKey(\(type.rawValue), <redacted>)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
