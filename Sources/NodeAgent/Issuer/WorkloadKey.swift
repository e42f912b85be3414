internal import Crypto
internal import CryptoExtras
internal import Platform
internal import SPIFFE
internal import X509

/// A workload's private key, made here; of the kind that its entry asks for.
struct WorkloadKey: Sendable {
    let certificateKey: Certificate.PrivateKey
    /// PKCS#8 DER.
    let pkcs8: SecretBytes

    /// Draws a key.
    init(_ type: WorkloadKeyType) throws {
        switch type {
        case .ecP256:
            let key = P256.Signing.PrivateKey()
            (certificateKey, pkcs8) = (Certificate.PrivateKey(key), SecretBytes(key.derRepresentation))
        case .ecP384:
            let key = P384.Signing.PrivateKey()
            (certificateKey, pkcs8) = (Certificate.PrivateKey(key), SecretBytes(key.derRepresentation))
        case .rsa2048:
            let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
            certificateKey = Certificate.PrivateKey(key)
            pkcs8 = SecretBytes(key.pkcs8DERRepresentation)
        }
    }
}
