internal import Crypto
internal import CryptoExtras
internal import SwiftASN1
package import X509

/// A PKCS#10 request that proved possession of its key.
///
/// It conveys the key and nothing else.
package struct SigningRequest: Sendable {
    package let publicKey: Certificate.PublicKey

    /// Names the request asks for; only what an admin mints ad hoc goes by them.
    package let uri: String?
    package let dnsNames: [String]

    /// The largest request read, in bytes.
    package static let maximumLength = 16 << 10

    /// Parses a request and checks its signature.
    ///
    /// - Parameter der: DER bytes.
    /// - Throws: `badSigningRequest`, `keyNotAllowed`.
    package init(der: [UInt8]) throws(IssuanceError) {
        guard !der.isEmpty else { throw .badSigningRequest(detail: "it is empty") }
        guard der.count <= Self.maximumLength else { throw .badSigningRequest(detail: "it is too long") }
        let request: CertificateSigningRequest
        do { request = try CertificateSigningRequest(derEncoded: der) } catch {
            throw .badSigningRequest(detail: "it is not PKCS#10")
        }
        guard Self.allows(request.publicKey) else { throw .keyNotAllowed }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw .badSigningRequest(detail: "its signature is not its key's")
        }
        publicKey = request.publicKey
        let names = (try? request.attributes.extensionRequest?.extensions.subjectAlternativeNames) ?? nil
        var uris: [String] = []
        var dnsNames: [String] = []
        for name in names ?? SubjectAlternativeNames() {
            switch name {
            case .uniformResourceIdentifier(let uri): uris.append(uri)
            case .dnsName(let name): dnsNames.append(name)
            default: continue
            }
        }
        uri = uris.count == 1 ? uris.first : nil
        self.dnsNames = dnsNames
    }

    private static func allows(_ key: Certificate.PublicKey) -> Bool {
        if P256.Signing.PublicKey(key) != nil || P384.Signing.PublicKey(key) != nil { return true }
        guard let rsa = _RSA.Signing.PublicKey(key) else { return false }
        return (2048...8192).contains(rsa.keySizeInBits)
    }
}
