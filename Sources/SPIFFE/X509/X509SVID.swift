internal import Crypto
internal import CryptoExtras
public import Foundation
internal import SwiftASN1
public import X509

/// One's own X.509-SVID: a chain that keeps the profile, with the private key of its leaf.
public struct X509SVID: Sendable {
    /// Who this is.
    public let id: SPIFFEID

    /// Leaf first, then intermediates.
    public let certificates: [Certificate]

    /// The key as unencrypted PKCS#8 DER.
    ///
    /// A secret: keep it out of logs.
    public let privateKeyDER: Data

    /// What the issuer says the identity is for; empty when it does not.
    public let hint: String

    /// Parses what the Workload API carries.
    ///
    /// - Parameters:
    ///   - chain: Concatenated DER, leaf first.
    ///   - privateKey: Unencrypted PKCS#8 DER.
    ///   - hint: What the identity is for.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID`, `invalidID` or `invalidPrivateKey` (X15, X19, X21).
    public init(chain: Data, privateKey: Data, hint: String = "") throws(SPIFFEError) {
        let certificates = try DERConcatenation.certificates(in: chain)
        guard let leaf = certificates.first else { throw SPIFFEError(.invalidX509SVID, "chain is empty") }
        id = try X509SVIDProfile.checkLeaf(leaf)
        for intermediate in certificates.dropFirst() { try X509SVIDProfile.checkIntermediate(intermediate) }
        guard try Self.publicKey(of: privateKey) == leaf.publicKey else {
            throw SPIFFEError(.invalidPrivateKey, "private key is not the leaf's")
        }
        self.certificates = certificates
        privateKeyDER = privateKey
        self.hint = hint
    }

    private static func publicKey(of pkcs8: Data) throws(SPIFFEError) -> Certificate.PublicKey {
        guard isPKCS8(pkcs8) else {
            throw SPIFFEError(.invalidPrivateKey, "private key is not unencrypted PKCS#8")
        }
        if let key = try? P256.Signing.PrivateKey(derRepresentation: pkcs8) {
            return Certificate.PublicKey(key.publicKey)
        }
        if let key = try? P384.Signing.PrivateKey(derRepresentation: pkcs8) {
            return Certificate.PublicKey(key.publicKey)
        }
        if let key = try? P521.Signing.PrivateKey(derRepresentation: pkcs8) {
            return Certificate.PublicKey(key.publicKey)
        }
        if let key = try? _RSA.Signing.PrivateKey(derRepresentation: pkcs8) {
            return Certificate.PublicKey(key.publicKey)
        }
        throw SPIFFEError(.invalidPrivateKey, "private key is not EC (P-256, P-384, P-521) or RSA")
    }

    /// Tells PKCS#8 by its shape: a version, then the algorithm (RFC 5958 §2).
    ///
    /// The crypto library reads SEC1 and PKCS#1 as well (X19).
    private static func isPKCS8(_ der: Data) -> Bool {
        guard let root = try? DER.parse(Array(der)), case .constructed(let children) = root.content else {
            return false
        }
        let kinds = children.prefix(3).map(\.identifier)
        return kinds == [.integer, .sequence, .octetString]
    }
}

extension X509SVID: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Names the identity, never the key.
    public var description: String { "X509SVID(\(id), key: <redacted>)" }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// Shows the identity alone.
    public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}
