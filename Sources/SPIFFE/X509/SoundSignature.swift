internal import CryptoExtras
internal import X509

/// Which signatures a path may rest on: ECDSA on the NIST curves and RSA, both with SHA-2, and Ed25519.
///
/// RSA-PSS would be sound as well, but the X.509 library refuses to parse such a certificate.
enum SoundSignature {
    /// The smallest RSA key, in bits; the crypto library itself refuses those above 8192, which would keep us busy.
    private static let minimumRSAKeySize = 2048

    private static let algorithms: [(der: [UInt8], algorithm: Certificate.SignatureAlgorithm)] = [
        (ecdsa(0x02), .ecdsaWithSHA256), (ecdsa(0x03), .ecdsaWithSHA384), (ecdsa(0x04), .ecdsaWithSHA512),
        (rsa(0x0B), .sha256WithRSAEncryption), (rsa(0x0C), .sha384WithRSAEncryption),
        (rsa(0x0D), .sha512WithRSAEncryption), ([0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70], .ed25519),
    ]

    /// The algorithm that an AlgorithmIdentifier names.
    ///
    /// - Parameter identifier: DER.
    /// - Returns: The algorithm; nil unless it is sound.
    static func algorithm(_ identifier: ArraySlice<UInt8>) -> Certificate.SignatureAlgorithm? {
        algorithms.first { identifier.elementsEqual($0.der) }?.algorithm
    }

    /// Whether a certificate is signed in a sound way, and says the same inside and outside of what is signed
    /// (RFC 5280 §4.1.1.2).
    static func covers(_ certificate: PathCertificate) -> Bool {
        algorithm(certificate.signedAlgorithm) == certificate.certificate.signatureAlgorithm
    }

    /// Whether a key is strong enough to rely on.
    static func isSound(_ key: Certificate.PublicKey) -> Bool {
        guard let rsa = _RSA.Signing.PublicKey(key) else { return true }
        return rsa.keySizeInBits >= minimumRSAKeySize
    }

    /// `1.2.840.10045.4.3.x` without parameters (RFC 5758 §3.2).
    private static func ecdsa(_ last: UInt8) -> [UInt8] {
        [0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, last]
    }

    /// `1.2.840.113549.1.1.x` with parameters NULL (RFC 4055 §5).
    private static func rsa(_ last: UInt8) -> [UInt8] {
        [0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, last, 0x05, 0x00]
    }
}
