internal import Crypto
internal import CryptoExtras
public import Foundation

/// A public key that can verify JWT-SVIDs: P-256, P-384, P-521, or RSA of 2048 to 8192 bits.
///
/// An elliptic curve takes the one algorithm of its size; an RSA key takes all six of its kind, because a bundle does not
/// say which one the issuer uses (J07).
public struct JWTVerificationKey: Hashable, Sendable {
    enum Material: Sendable {
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
        case rsa(_RSA.Signing.PublicKey)
    }

    let material: Material

    /// SubjectPublicKeyInfo, DER, in the one way that each key is written here; what equality and hashing go by.
    public let derRepresentation: Data

    /// Parses a SubjectPublicKeyInfo.
    ///
    /// - Parameter der: DER bytes.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle` when the key is of no permitted kind or too weak (B13).
    public init(derRepresentation der: some DataProtocol) throws(SPIFFEError) {
        let der = Data(der)
        if let key = try? P256.Signing.PublicKey(derRepresentation: der) {
            self.init(.p256(key), der: key.derRepresentation)
        } else if let key = try? P384.Signing.PublicKey(derRepresentation: der) {
            self.init(.p384(key), der: key.derRepresentation)
        } else if let key = try? P521.Signing.PublicKey(derRepresentation: der) {
            self.init(.p521(key), der: key.derRepresentation)
        } else if let key = try? _RSA.Signing.PublicKey(derRepresentation: der) {
            try self.init(rsa: key)
        } else {
            throw SPIFFEError(.invalidBundle, "JWT authority key is not EC (P-256, P-384, P-521) or RSA")
        }
    }

    init(_ material: Material, der: Data) {
        self.material = material
        derRepresentation = der
    }

    init(rsa key: _RSA.Signing.PublicKey) throws(SPIFFEError) {
        guard (2048...8192).contains(key.keySizeInBits) else {
            throw SPIFFEError(.invalidBundle, "RSA key is not between 2048 and 8192 bits")
        }
        self.init(.rsa(key), der: key.derRepresentation)
    }

    /// Whether the algorithm belongs to this kind of key and curve (J07).
    ///
    /// - Parameter algorithm: What a token's header claims.
    /// - Returns: False for an ECDSA algorithm of another curve, and for one of another kind of key.
    public func supports(_ algorithm: JWTAlgorithm) -> Bool {
        switch (material, algorithm) {
        case (.p256, .es256), (.p384, .es384), (.p521, .es512): true
        case (.rsa, .rs256), (.rsa, .rs384), (.rsa, .rs512): true
        case (.rsa, .ps256), (.rsa, .ps384), (.rsa, .ps512): true
        default: false
        }
    }

    /// Checks a JWS signature: raw R‖S for ECDSA, never DER (J23).
    ///
    /// - Parameters:
    ///   - signature: The signature as the token carries it, decoded.
    ///   - input: The bytes signed.
    ///   - algorithm: What the header claims; refused when it does not fit the key.
    /// - Returns: Whether this key made the signature.
    public func isValidSignature(
        _ signature: some DataProtocol, for input: some DataProtocol, algorithm: JWTAlgorithm
    ) -> Bool {
        switch (material, algorithm) {
        case (.p256(let key), .es256):
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA256.hash(data: input))
        case (.p384(let key), .es384):
            guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA384.hash(data: input))
        case (.p521(let key), .es512):
            guard let signature = try? P521.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA512.hash(data: input))
        case (.rsa(let key), .rs256):
            return isValid(signature, by: key, digest: SHA256.hash(data: input), padding: .insecurePKCS1v1_5)
        case (.rsa(let key), .rs384):
            return isValid(signature, by: key, digest: SHA384.hash(data: input), padding: .insecurePKCS1v1_5)
        case (.rsa(let key), .rs512):
            return isValid(signature, by: key, digest: SHA512.hash(data: input), padding: .insecurePKCS1v1_5)
        case (.rsa(let key), .ps256):
            return isValid(signature, by: key, digest: SHA256.hash(data: input), padding: .PSS)
        case (.rsa(let key), .ps384):
            return isValid(signature, by: key, digest: SHA384.hash(data: input), padding: .PSS)
        case (.rsa(let key), .ps512):
            return isValid(signature, by: key, digest: SHA512.hash(data: input), padding: .PSS)
        default:
            return false
        }
    }

    private func isValid(
        _ signature: some DataProtocol, by key: _RSA.Signing.PublicKey, digest: some Digest,
        padding: _RSA.Signing.Padding
    ) -> Bool {
        key.isValidSignature(
            _RSA.Signing.RSASignature(rawRepresentation: signature), for: digest, padding: padding)
    }

    /// Whether both are the same key.
    public static func == (one: JWTVerificationKey, other: JWTVerificationKey) -> Bool {
        one.derRepresentation == other.derRepresentation
    }

    /// Hashes the key's DER.
    ///
    /// - Parameter hasher: The hasher to feed.
    public func hash(into hasher: inout Hasher) { hasher.combine(derRepresentation) }
}
