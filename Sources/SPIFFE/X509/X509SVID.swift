public import Foundation
public import X509

/// One's own X.509-SVID: a chain that keeps the profile, with the private key of its leaf.
public struct X509SVID: Sendable {
    /// Who this is.
    public let id: SPIFFEID

    /// Leaf first, then intermediates.
    public let certificates: [Certificate]

    /// When the leaf is valid, and with it this identity.
    ///
    /// An SVID may be loaded that is no longer or not yet valid (X18).
    public let validity: Range<Date>

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
    ///   - privateKey: Unencrypted PKCS#8 DER: EC (P-256, P-384, P-521), RSA or Ed25519 (GS-08).
    ///   - hint: What the identity is for.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID`, `invalidID`, `invalidTrustDomain` or `invalidPrivateKey`
    ///   (X15, X19, X21).
    public init(chain: Data, privateKey: Data, hint: String = "") throws(SPIFFEError) {
        try self.init(
            certificates: try DERConcatenation.certificates(in: chain), privateKey: privateKey, hint: hint)
    }

    init(certificates: [Certificate], privateKey: Data, hint: String) throws(SPIFFEError) {
        guard let leaf = certificates.first else { throw SPIFFEError(.invalidX509SVID, "chain is empty") }
        id = try X509SVIDProfile.checkLeaf(leaf)
        for intermediate in certificates.dropFirst() { try X509SVIDProfile.checkIntermediate(intermediate) }
        let (start, end) = (leaf.notValidBefore, leaf.notValidAfter)
        guard start < end else { throw SPIFFEError(.invalidX509SVID, "leaf ends before it begins") }
        // By shape, not by trying: PKCS#1, SEC1 and encrypted keys are none (X19).
        guard let key = try? Certificate.PrivateKey(derBytes: Array(privateKey)) else {
            throw SPIFFEError(
                .invalidPrivateKey,
                "private key is not unencrypted PKCS#8 of kind EC (P-256, P-384, P-521), RSA or Ed25519")
        }
        guard key.publicKey == leaf.publicKey else {
            throw SPIFFEError(.invalidPrivateKey, "private key is not the leaf's")
        }
        validity = start..<end
        self.certificates = certificates
        privateKeyDER = privateKey
        self.hint = hint
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
