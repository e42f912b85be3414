internal import SwiftASN1
package import X509

/// A PKCS#10 request that proved possession of its key.
///
/// It conveys the key and nothing else.
package struct SigningRequest: Sendable {
    package let key: SubjectKey

    package var publicKey: Certificate.PublicKey { key.publicKey }

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
        let key =
            if let key = Self.publicKeyInfo(in: der).flatMap({ SubjectKey(p256Info: $0) }) { key } else {
                try SubjectKey(request.publicKey)
            }
        guard key.publicKey.isValidSignature(request.signature, for: request) else {
            throw .badSigningRequest(detail: "its signature is not its key's")
        }
        self.key = key
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

    /// Where SubjectPublicKeyInfo lies: in the first element, after version and name (RFC 2986 §4.1).
    private static func publicKeyInfo(in der: [UInt8]) -> ArraySlice<UInt8>? {
        guard case .constructed(let parts)? = try? DER.parse(der).content,
            case .constructed(let fields)? = parts.first(where: { _ in true })?.content
        else { return nil }
        return fields.dropFirst(2).first { _ in true }?.encodedBytes
    }
}
