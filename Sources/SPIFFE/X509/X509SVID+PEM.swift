internal import Foundation
internal import SwiftASN1

extension X509SVID {
    /// Reads an SVID from PEM.
    ///
    /// - Parameters:
    ///   - pemChain: CERTIFICATE blocks, leaf first.
    ///   - pemKey: One block with the private key of the leaf, unencrypted PKCS#8.
    ///   - hint: What the identity is for.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID`, `invalidID`, `invalidTrustDomain` or `invalidPrivateKey`.
    public init(pemChain: String, pemKey: String, hint: String = "") throws(SPIFFEError) {
        let certificates = try CertificatePEM.certificates(in: pemChain, code: .invalidX509SVID)
        guard pemKey.utf8.count <= Self.maximumKeyLength, let document = try? PEMDocument(pemString: pemKey),
            document.discriminator == Self.keyDiscriminator
        else { throw SPIFFEError(.invalidPrivateKey, "private key is not one PEM block with unencrypted PKCS#8") }
        try self.init(certificates: certificates, privateKey: Data(document.derBytes), hint: hint)
    }

    /// Writes the chain as PEM, leaf first.
    ///
    /// - Returns: One CERTIFICATE block each, each ending in a newline.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID` when a certificate cannot be serialized.
    public func chainPEM() throws(SPIFFEError) -> String {
        try CertificatePEM.text(of: certificates, code: .invalidX509SVID)
    }

    /// The key as a PKCS#8 PEM block, ending in a newline.
    ///
    /// A secret: whoever holds it is this workload until the SVID ends. Keep it out of logs, and let nobody else read the
    /// file that it is written to.
    public var privateKeyPEM: String {
        let body = privateKeyDER.base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return "-----BEGIN \(Self.keyDiscriminator)-----\n\(body)\n-----END \(Self.keyDiscriminator)-----\n"
    }

    /// A text of a key, with room for RSA of 16384 bits.
    private static let maximumKeyLength = 1 << 16

    private static let keyDiscriminator = "PRIVATE KEY"
}
