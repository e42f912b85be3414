internal import CPKCS11
package import Foundation
package import IssuerDomain
internal import SwiftASN1
package import X509

/// A private key that a token keeps: it signs there, and is never seen here.
package struct TokenSigningKey: SigningKey {
    let name: String
    let publicKey: TokenPublicKey
    private let token: PKCS11Token

    init(name: String, publicKey: TokenPublicKey, token: PKCS11Token) {
        (self.name, self.publicKey, self.token) = (name, publicKey, token)
    }

    package var type: SigningKeyType { publicKey.type }

    package var signsElsewhere: Bool { true }

    package var certificateKey: Certificate.PrivateKey { Certificate.PrivateKey(TokenCertificateKey(key: self)) }

    package var publicKeyDER: Data { publicKey.derRepresentation }

    package func jwsSignature(for input: Data) throws(KeyStoreError) -> Data { Data(try signature(for: input)) }

    /// Has the token sign: R‖S for ECDSA, PKCS #1 for RSA.
    func signature(for bytes: some DataProtocol) throws(KeyStoreError) -> [UInt8] {
        let digest = publicKey.digest(of: bytes)
        let signature = try token.use { session throws(PKCS11Failure) in
            guard let handle = try token.privateKey(PKCS11KeyStore.label(name), session) else {
                throw .store(.missing(name: name))
            }
            return try token.module.sign(digest, with: handle, mechanism: publicKey.mechanism, session)
        }
        guard signature.count == publicKey.signatureLength else {
            throw .failed(detail: "the token made a signature of \(signature.count) bytes")
        }
        return signature
    }
}

extension TokenSigningKey: CustomStringConvertible {
    package var description: String { "TokenSigningKey(\(name), \(type.rawValue))" }
}

/// A key in a token, as the X.509 library asks for it.
struct TokenCertificateKey: CustomPrivateKey {
    let key: TokenSigningKey

    var publicKey: Certificate.PublicKey { key.publicKey.certificateKey }
    var defaultSignatureAlgorithm: Certificate.SignatureAlgorithm { key.publicKey.signatureAlgorithm }
    var supportedSignatureAlgorithms: [Certificate.SignatureAlgorithm] { [defaultSignatureAlgorithm] }

    func signSynchronously(
        bytes: some DataProtocol, signatureAlgorithm: Certificate.SignatureAlgorithm
    ) throws -> Certificate.Signature {
        guard signatureAlgorithm == defaultSignatureAlgorithm else {
            throw KeyStoreError.failed(detail: "the key does not sign with \(signatureAlgorithm)")
        }
        let signature = try key.publicKey.certificateSignature(try key.signature(for: bytes))
        return try Certificate.Signature(
            signatureAlgorithm: signatureAlgorithm, signatureBytes: ASN1BitString(bytes: signature[...]))
    }

    static func == (one: Self, other: Self) -> Bool {
        one.publicKey == other.publicKey && one.key.name == other.key.name
    }

    func hash(into hasher: inout Hasher) { hasher.combine(publicKey) }

    // The library asks for these of every private key; there is nothing to write down.

    static var defaultPEMDiscriminator: String { "PRIVATE KEY" }

    func serialize(into coder: inout DER.Serializer) throws {
        throw KeyStoreError.failed(detail: "the key stays in its token")
    }

    func serializeAsPEM(discriminator: String) throws -> PEMDocument {
        throw KeyStoreError.failed(detail: "the key stays in its token")
    }
}
