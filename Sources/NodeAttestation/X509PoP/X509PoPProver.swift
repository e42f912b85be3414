internal import Crypto
internal import CryptoExtras
internal import Foundation
package import Platform
internal import SPIFFE
internal import SwiftASN1
internal import X509

/// Shows a certificate, and proves that its key is here: the agent's half of `x509pop`.
///
/// The files are read at each attestation, so that a renewed certificate counts without a restart.
package struct X509PoPProver: NodeProver {
    /// Where the certificate and its key are, PEM.
    package struct Files: Sendable {
        package let certificate: String
        package let privateKey: String
        package let intermediates: String?

        package init(certificate: String, privateKey: String, intermediates: String? = nil) {
            (self.certificate, self.privateKey, self.intermediates) = (certificate, privateKey, intermediates)
        }
    }

    private static let maximumFile = 1 << 20

    private let paths: Files
    private let files: any FileSystem

    package init(_ paths: Files, files: any FileSystem) { (self.paths, self.files) = (paths, files) }

    package var type: String { X509PoPAttestor.type }

    package func payload() async throws(NodeAttestationError) -> [UInt8] {
        var chain = try certificates(paths.certificate)
        if let intermediates = paths.intermediates { chain += try certificates(intermediates) }
        return X509PoPMessages.payload(chain)
    }

    package func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        let key = try privateKey()
        let scheme: X509PoPMessages.Scheme
        if case .rsa = key { scheme = .rsa } else { scheme = .ecdsa }
        let nonces = try PossessionNonces(
            challenger: try X509PoPMessages.nonce(in: challenge, for: scheme), responder: PossessionNonces.draw())
        return X509PoPMessages.answer(try key.sign(nonces), nonce: nonces.responder)
    }

    private func certificates(_ path: String) throws(NodeAttestationError) -> [[UInt8]] {
        let text = try read(path)
        guard let documents = try? PEMDocument.parseMultiple(pemString: text) else {
            throw .unavailable("\(path) is not PEM")
        }
        let found = documents.filter { $0.discriminator == Certificate.defaultPEMDiscriminator }.map(\.derBytes)
        guard !found.isEmpty else { throw .unavailable("\(path) holds no certificate") }
        return found
    }

    private func privateKey() throws(NodeAttestationError) -> PossessionPrivateKey {
        guard let key = PossessionPrivateKey(pem: try read(paths.privateKey)) else {
            throw .unavailable("\(paths.privateKey) is not an unencrypted ECDSA or RSA key in PEM")
        }
        return key
    }

    private func read(_ path: String) throws(NodeAttestationError) -> String {
        let contents: [UInt8]?
        do throws(FileSystemError) { contents = try files.read(path, limit: Self.maximumFile) } catch {
            throw .unavailable("\(error)")
        }
        guard let contents else { throw .unavailable("no file at \(path)") }
        return String(decoding: contents, as: UTF8.self)
    }
}

/// A private key that proves its possession.
enum PossessionPrivateKey {
    case p256(P256.Signing.PrivateKey)
    case p384(P384.Signing.PrivateKey)
    case p521(P521.Signing.PrivateKey)
    case rsa(_RSA.Signing.PrivateKey)

    init?(pem: String) {
        if let key = try? P256.Signing.PrivateKey(pemRepresentation: pem) {
            self = .p256(key)
        } else if let key = try? P384.Signing.PrivateKey(pemRepresentation: pem) {
            self = .p384(key)
        } else if let key = try? P521.Signing.PrivateKey(pemRepresentation: pem) {
            self = .p521(key)
        } else if let key = try? _RSA.Signing.PrivateKey(pemRepresentation: pem) {
            self = .rsa(key)
        } else {
            return nil
        }
    }

    func sign(_ nonces: PossessionNonces) throws(NodeAttestationError) -> X509PoPMessages.Signature {
        do {
            switch self {
            case .rsa(let key):
                return .rsa(Array(try key.signature(for: nonces.digest, padding: .PSS).rawRepresentation))
            case .p256(let key): return Self.numbers(try key.signature(for: nonces.digest).rawRepresentation)
            case .p384(let key): return Self.numbers(try key.signature(for: nonces.digest).rawRepresentation)
            case .p521(let key): return Self.numbers(try key.signature(for: nonces.digest).rawRepresentation)
            }
        } catch { throw .unavailable("the certificate's key does not sign") }
    }

    private static func numbers(_ raw: Data) -> X509PoPMessages.Signature {
        let bytes = Array(raw)
        let half = bytes.count / 2
        return .ecdsa(
            r: Array(bytes[..<half].drop { $0 == 0 }), s: Array(bytes[half...].drop { $0 == 0 }))
    }
}
