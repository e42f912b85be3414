package import Foundation
package import SPIFFE
package import X509

/// Where private signing keys live and sign.
package protocol SigningKeyStore: Sendable {
    /// Whether a key is still there after a restart.
    var outlivesProcess: Bool { get }

    /// Makes a key; it is durable on return.
    ///
    /// - Parameters:
    ///   - name: Letters, digits and dashes; not yet in use.
    ///   - type: What kind of key.
    /// - Returns: The new key, ready to sign.
    /// - Throws: ``KeyStoreError``.
    func generate(_ name: String, type: SigningKeyType) async throws(KeyStoreError) -> any SigningKey

    /// Finds a key.
    ///
    /// - Throws: ``KeyStoreError``; `missing` when there is none of that name.
    func key(_ name: String) async throws(KeyStoreError) -> any SigningKey

    /// Lists the names of all keys.
    ///
    /// - Throws: ``KeyStoreError``.
    func names() async throws(KeyStoreError) -> [String]

    /// Destroys a key; one that is not there is fine.
    ///
    /// - Throws: ``KeyStoreError``.
    func delete(_ name: String) async throws(KeyStoreError)
}

/// A private key that signs without being shown.
///
/// Signing is synchronous, so that a key in memory costs nothing but its mathematics; a key in a token keeps its caller's
/// thread for as long as the token takes.
package protocol SigningKey: Sendable {
    var type: SigningKeyType { get }

    /// Whether something other than this process makes the signatures, so that none leaves unchecked.
    var signsElsewhere: Bool { get }

    /// For signing certificates.
    var certificateKey: Certificate.PrivateKey { get }

    /// SubjectPublicKeyInfo, DER.
    var publicKeyDER: Data { get }

    /// Makes a JWS signature: raw R‖S for ECDSA.
    ///
    /// - Throws: ``KeyStoreError``.
    func jwsSignature(for input: Data) throws(KeyStoreError) -> Data
}

/// The kinds of key an authority may have.
package enum SigningKeyType: String, Hashable, Sendable, CaseIterable {
    case ecP256 = "ec-p256"
    case ecP384 = "ec-p384"
    case rsa2048 = "rsa-2048"
    case rsa4096 = "rsa-4096"

    /// The JWS algorithm such a key signs with.
    package var jwtAlgorithm: JWTAlgorithm {
        switch self {
        case .ecP256: .es256
        case .ecP384: .es384
        case .rsa2048, .rsa4096: .rs256
        }
    }
}

/// Why a key store did not do what it was asked.
package enum KeyStoreError: Error, Hashable {
    case missing(name: String)
    case damaged(name: String)
    /// It is encrypted, and there is no passphrase or key file to read it with.
    case encrypted(name: String)
    /// It is encrypted with another passphrase or key file.
    case wrongSecret(name: String)
    /// The token does not let this server in.
    case loginRefused(detail: String)
    /// The store cannot be written or read.
    case failed(detail: String)
}

extension KeyStoreError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing(let name): "signing key '\(name)' is missing"
        case .damaged(let name): "signing key '\(name)' cannot be read back"
        case .encrypted(let name): "signing key '\(name)' is encrypted, and no passphrase or key file is configured"
        case .wrongSecret(let name): "signing key '\(name)' is encrypted with another passphrase or key file"
        case .loginRefused(let detail): "token refuses the login: \(detail)"
        case .failed(let detail): "key store: \(detail)"
        }
    }
}
