internal import Crypto
internal import CryptoExtras
internal import Foundation

/// A public key as OpenSSH writes it: Ed25519, ECDSA on the NIST curves, or RSA.
package struct SSHPublicKey: Sendable {
    enum Curve: String, Sendable, CaseIterable {
        case p256 = "nistp256"
        case p384 = "nistp384"
        case p521 = "nistp521"
    }

    private enum Material: Sendable {
        case ed25519(Curve25519.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
        case rsa(_RSA.Signing.PublicKey)
    }

    private static let rsaBits = 2048...8192

    /// The key as it travels: what fingerprints are taken of.
    package let blob: [UInt8]
    private let material: Material

    /// Parses a key.
    ///
    /// - Parameter blob: `ssh-ed25519`, `ecdsa-sha2-nistp…` or `ssh-rsa`; nothing may follow it.
    /// - Throws: ``NodeAttestationError/malformed(_:)``, or `refused` for a key of another kind or a weak one.
    package init(blob: [UInt8]) throws(NodeAttestationError) {
        var reader = SSHReader(blob)
        let type = try reader.text()
        try self.init(type: type, from: &reader)
        guard reader.isAtEnd else { throw .malformed("something follows an SSH key") }
        guard blob == self.blob else { throw .malformed("an SSH key is written in an odd way") }
    }

    /// Parses what follows a key's type.
    init(type: String, from reader: inout SSHReader) throws(NodeAttestationError) {
        var writer = SSHWriter()
        writer.add(type)
        let fault = NodeAttestationError.malformed("an SSH key is no point on its curve, or no modulus")
        switch type {
        case "ssh-ed25519":
            let point = try reader.bytes()
            writer.add(point)
            guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: point) else { throw fault }
            material = .ed25519(key)
        case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521":
            let curve = try reader.text()
            guard type == "ecdsa-sha2-\(curve)" else { throw .malformed("an SSH key names two curves") }
            let point = try reader.bytes()
            writer.add(curve)
            writer.add(point)
            guard let key = Self.point(point, on: curve) else { throw fault }
            material = key
        case "ssh-rsa":
            let exponent = try reader.positiveNumber()
            let modulus = try reader.positiveNumber()
            writer.add(positiveNumber: exponent)
            writer.add(positiveNumber: modulus)
            // Judged before the library sees it: what a key may cost is bounded by its length.
            let bits = modulus.count * 8 - (modulus.first?.leadingZeroBitCount ?? 8)
            guard Self.rsaBits.contains(bits) else {
                throw .refused("an RSA key must have \(Self.rsaBits.lowerBound) to \(Self.rsaBits.upperBound) bits")
            }
            guard let key = try? _RSA.Signing.PublicKey(n: Data(modulus), e: Data(exponent)) else { throw fault }
            material = .rsa(key)
        default: throw .refused("SSH keys of type '\(type.prefix(64))' are not accepted")
        }
        blob = writer.bytes
    }

    private static func point(_ point: [UInt8], on curve: String) -> Material? {
        switch Curve(rawValue: curve) {
        case .p256: (try? P256.Signing.PublicKey(x963Representation: point)).map { .p256($0) }
        case .p384: (try? P384.Signing.PublicKey(x963Representation: point)).map { .p384($0) }
        case .p521: (try? P521.Signing.PublicKey(x963Representation: point)).map { .p521($0) }
        case nil: nil
        }
    }

    /// Whether a signature over some bytes is this key's.
    ///
    /// - Parameters:
    ///   - message: What was signed.
    ///   - signature: As it came.
    ///   - admitsSHA1: Whether RSA may sign with SHA-1, as the field's agents do when they prove a key. It is safe where
    ///     nobody chooses the message, and never where somebody may, as in certificates.
    /// - Returns: Whether it is.
    func hasSigned(_ message: [UInt8], _ signature: SSHSignature, admitsSHA1: Bool = false) -> Bool {
        switch (material, signature.format) {
        case (.ed25519(let key), "ssh-ed25519"):
            return key.isValidSignature(signature.blob, for: message)
        case (.p256(let key), "ecdsa-sha2-nistp256"):
            guard let raw = Self.raw(signature.blob, width: 32),
                let signature = try? P256.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: message)
        case (.p384(let key), "ecdsa-sha2-nistp384"):
            guard let raw = Self.raw(signature.blob, width: 48),
                let signature = try? P384.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: message)
        case (.p521(let key), "ecdsa-sha2-nistp521"):
            guard let raw = Self.raw(signature.blob, width: 66),
                let signature = try? P521.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: message)
        case (.rsa(let key), let format):
            let signature = _RSA.Signing.RSASignature(rawRepresentation: signature.blob)
            return switch format {
            case "rsa-sha2-256":
                key.isValidSignature(signature, for: SHA256.hash(data: message), padding: .insecurePKCS1v1_5)
            case "rsa-sha2-512":
                key.isValidSignature(signature, for: SHA512.hash(data: message), padding: .insecurePKCS1v1_5)
            case "ssh-rsa" where admitsSHA1:
                key.isValidSignature(signature, for: Insecure.SHA1.hash(data: message), padding: .insecurePKCS1v1_5)
            default: false
            }
        case (.ed25519, _), (.p256, _), (.p384, _), (.p521, _): return false
        }
    }

    private static func raw(_ blob: [UInt8], width: Int) -> [UInt8]? {
        var reader = SSHReader(blob)
        guard let r = try? reader.positiveNumber(), let s = try? reader.positiveNumber(), reader.isAtEnd,
            r.count <= width, s.count <= width
        else { return nil }
        return [UInt8](repeating: 0, count: width - r.count) + r + [UInt8](repeating: 0, count: width - s.count) + s
    }
}

/// A signature in SSH's clothes.
package struct SSHSignature: Sendable {
    package let format: String
    package let blob: [UInt8]

    init(format: String, blob: [UInt8]) { (self.format, self.blob) = (format, blob) }

    /// Parses a signature as it travels.
    ///
    /// - Throws: ``NodeAttestationError/malformed(_:)``, also when anything follows it.
    package init(wire: [UInt8]) throws(NodeAttestationError) {
        var reader = SSHReader(wire)
        self.init(format: try reader.text(), blob: try reader.bytes())
        guard reader.isAtEnd else { throw .malformed("something follows an SSH signature") }
    }
}
