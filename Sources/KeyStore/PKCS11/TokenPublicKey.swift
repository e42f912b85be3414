internal import CPKCS11
internal import Crypto
internal import CryptoExtras
internal import Foundation
internal import IssuerDomain
internal import X509

/// The public half of a key in a token, read from there once.
enum TokenPublicKey: Sendable {
    case p256(P256.Signing.PublicKey)
    case p384(P384.Signing.PublicKey)
    case rsa(_RSA.Signing.PublicKey, SigningKeyType)

    /// `1.2.840.10045.3.1.7` and `1.3.132.0.34` (RFC 5480 §2.1.1.1), DER.
    static let p256Parameters: [UInt8] = [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
    static let p384Parameters: [UInt8] = [0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22]

    /// Reads an elliptic curve point: an OCTET STRING around it, which some tokens leave out.
    init?(parameters: [UInt8], point: [UInt8]) {
        switch parameters {
        case Self.p256Parameters:
            guard let key = try? P256.Signing.PublicKey(x963Representation: point.suffix(65)), point.count <= 67 else {
                return nil
            }
            self = .p256(key)
        case Self.p384Parameters:
            guard let key = try? P384.Signing.PublicKey(x963Representation: point.suffix(97)), point.count <= 99 else {
                return nil
            }
            self = .p384(key)
        default: return nil
        }
    }

    /// Reads an RSA key of a size that authorities may have.
    init?(modulus: [UInt8], exponent: [UInt8]) {
        guard let key = try? _RSA.Signing.PublicKey(n: modulus, e: exponent) else { return nil }
        switch key.keySizeInBits {
        case 2048: self = .rsa(key, .rsa2048)
        case 4096: self = .rsa(key, .rsa4096)
        default: return nil
        }
    }

    var type: SigningKeyType {
        switch self {
        case .p256: .ecP256
        case .p384: .ecP384
        case .rsa(_, let type): type
        }
    }

    var derRepresentation: Data {
        switch self {
        case .p256(let key): key.derRepresentation
        case .p384(let key): key.derRepresentation
        case .rsa(let key, _): key.derRepresentation
        }
    }

    var certificateKey: Certificate.PublicKey {
        switch self {
        case .p256(let key): Certificate.PublicKey(key)
        case .p384(let key): Certificate.PublicKey(key)
        case .rsa(let key, _): Certificate.PublicKey(key)
        }
    }

    var signatureAlgorithm: Certificate.SignatureAlgorithm {
        switch self {
        case .p256: .ecdsaWithSHA256
        case .p384: .ecdsaWithSHA384
        case .rsa: .sha256WithRSAEncryption
        }
    }

    /// How the token is asked to sign.
    var mechanism: CK_ULONG {
        switch self {
        case .p256, .p384: CKM_ECDSA
        case .rsa: CKM_RSA_PKCS
        }
    }

    /// What the token is given: a digest, for RSA as DigestInfo (RFC 8017 §9.2), so that no message travels to it.
    func digest(of bytes: some DataProtocol) -> [UInt8] {
        switch self {
        case .p256: Array(SHA256.hash(data: bytes))
        case .p384: Array(SHA384.hash(data: bytes))
        case .rsa: Self.sha256Info + Array(SHA256.hash(data: bytes))
        }
    }

    /// Whether a signature, as the token makes it, is this key's.
    func isValid(_ signature: [UInt8], for bytes: some DataProtocol) -> Bool {
        switch self {
        case .p256(let key):
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA256.hash(data: bytes))
        case .p384(let key):
            guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA384.hash(data: bytes))
        case .rsa(let key, _):
            return key.isValidSignature(
                _RSA.Signing.RSASignature(rawRepresentation: signature), for: SHA256.hash(data: bytes),
                padding: .insecurePKCS1v1_5)
        }
    }

    /// A signature of the token as certificates have it: R and S in DER for ECDSA.
    func certificateSignature(_ signature: [UInt8]) throws -> [UInt8] {
        switch self {
        case .p256: Array(try P256.Signing.ECDSASignature(rawRepresentation: signature).derRepresentation)
        case .p384: Array(try P384.Signing.ECDSASignature(rawRepresentation: signature).derRepresentation)
        case .rsa: signature
        }
    }

    /// How many bytes a signature has, as the token makes it.
    var signatureLength: Int {
        switch self {
        case .p256: 64
        case .p384: 96
        case .rsa(let key, _): key.keySizeInBits / 8
        }
    }

    /// SEQUENCE { SEQUENCE { id-sha256, NULL }, OCTET STRING } up to the digest.
    private static let sha256Info: [UInt8] = [
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
        0x20,
    ]
}
