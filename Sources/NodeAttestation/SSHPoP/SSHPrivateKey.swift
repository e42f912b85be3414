internal import Crypto
internal import CryptoExtras
internal import Foundation

/// A host's private key in OpenSSH's own file format, without a passphrase (PROTOCOL.key).
struct SSHPrivateKey: Sendable {
    private enum Material: Sendable {
        case ed25519(Curve25519.Signing.PrivateKey)
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case rsa(_RSA.Signing.PrivateKey)
    }

    private static let magic = Array("openssh-key-v1\0".utf8)
    private static let marks = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----")

    /// The public half, as it travels.
    let publicBlob: [UInt8]
    private let material: Material

    /// Reads a key file.
    ///
    /// - Throws: ``NodeAttestationError/unavailable(_:)``.
    init(pem: String) throws(NodeAttestationError) {
        guard let start = pem.range(of: Self.marks.0),
            let end = pem.range(of: Self.marks.1, range: start.upperBound..<pem.endIndex),
            let data = Data(
                base64Encoded: pem[start.upperBound..<end.lowerBound].filter { !$0.isWhitespace }),
            data.starts(with: Self.magic)
        else { throw .unavailable("the host key is not in OpenSSH's format; 'ssh-keygen -p' rewrites it") }
        do throws(NodeAttestationError) {
            var reader = SSHReader(data.dropFirst(Self.magic.count))
            guard try reader.text() == "none", try reader.text() == "none" else {
                throw NodeAttestationError.unavailable("the host key has a passphrase")
            }
            _ = try reader.bytes()
            guard try reader.number() == 1 else { throw NodeAttestationError.malformed("not one key") }
            publicBlob = try reader.bytes()
            var secret = SSHReader(try reader.bytes())
            guard try secret.number() == secret.number() else { throw NodeAttestationError.malformed("damaged") }
            material = try Self.material(&secret)
        } catch .unavailable(let detail) {
            throw .unavailable(detail)
        } catch {
            throw .unavailable("the host key cannot be read")
        }
    }

    private static func material(_ reader: inout SSHReader) throws(NodeAttestationError) -> Material {
        let fault = NodeAttestationError.malformed("not a key")
        switch try reader.text() {
        case "ssh-ed25519":
            _ = try reader.bytes()
            guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: try reader.bytes().prefix(32)) else {
                throw fault
            }
            return .ed25519(key)
        case "ecdsa-sha2-nistp256":
            let raw = try scalar(&reader, 32)
            guard let key = try? P256.Signing.PrivateKey(rawRepresentation: raw) else { throw fault }
            return .p256(key)
        case "ecdsa-sha2-nistp384":
            let raw = try scalar(&reader, 48)
            guard let key = try? P384.Signing.PrivateKey(rawRepresentation: raw) else { throw fault }
            return .p384(key)
        case "ecdsa-sha2-nistp521":
            let raw = try scalar(&reader, 66)
            guard let key = try? P521.Signing.PrivateKey(rawRepresentation: raw) else { throw fault }
            return .p521(key)
        case "ssh-rsa":
            let (n, e, d) = (
                try reader.positiveNumber(), try reader.positiveNumber(), try reader.positiveNumber()
            )
            _ = try reader.positiveNumber()
            let (p, q) = (try reader.positiveNumber(), try reader.positiveNumber())
            guard
                let key = try? _RSA.Signing.PrivateKey(
                    n: Data(n), e: Data(e), d: Data(d), p: Data(p), q: Data(q))
            else { throw fault }
            return .rsa(key)
        default: throw fault
        }
    }

    private static func scalar(_ reader: inout SSHReader, _ width: Int) throws(NodeAttestationError) -> [UInt8] {
        _ = try reader.text()
        _ = try reader.bytes()
        let digits = try reader.positiveNumber()
        guard digits.count <= width else { throw .malformed("not a key") }
        return [UInt8](repeating: 0, count: width - digits.count) + digits
    }

    /// Signs a message.
    ///
    /// - Throws: ``NodeAttestationError/unavailable(_:)``.
    func sign(_ message: [UInt8]) throws(NodeAttestationError) -> SSHSignature {
        do {
            switch material {
            case .ed25519(let key):
                return SSHSignature(format: "ssh-ed25519", blob: Array(try key.signature(for: message)))
            case .p256(let key):
                return Self.signature("ecdsa-sha2-nistp256", try key.signature(for: message).rawRepresentation)
            case .p384(let key):
                return Self.signature("ecdsa-sha2-nistp384", try key.signature(for: message).rawRepresentation)
            case .p521(let key):
                return Self.signature("ecdsa-sha2-nistp521", try key.signature(for: message).rawRepresentation)
            case .rsa(let key):
                let signature = try key.signature(
                    for: SHA256.hash(data: message), padding: .insecurePKCS1v1_5)
                return SSHSignature(format: "rsa-sha2-256", blob: Array(signature.rawRepresentation))
            }
        } catch { throw .unavailable("the host key does not sign") }
    }

    private static func signature(_ format: String, _ raw: Data) -> SSHSignature {
        let bytes = Array(raw)
        var writer = SSHWriter()
        writer.add(positiveNumber: bytes.prefix(bytes.count / 2))
        writer.add(positiveNumber: bytes.suffix(bytes.count / 2))
        return SSHSignature(format: format, blob: writer.bytes)
    }
}
