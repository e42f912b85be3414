internal import SPIFFE
internal import SwiftASN1
package import X509

/// A PKCS#10 request that proved possession of its key (RFC 2986).
///
/// It conveys the key and nothing else; what else stands in it is read when an admin mints by it.
package struct SigningRequest: Sendable {
    package let key: SubjectKey
    private let der: [UInt8]

    package var publicKey: Certificate.PublicKey { key.publicKey }

    /// The largest request read, in bytes.
    package static let maximumLength = 16 << 10

    /// Parses a request and checks its signature.
    ///
    /// - Parameter der: DER bytes.
    /// - Throws: `badSigningRequest`, `keyNotAllowed`.
    package init(der: [UInt8]) throws(IssuanceError) {
        guard !der.isEmpty else { throw .badSigningRequest(detail: "it is empty") }
        guard der.count <= Self.maximumLength else { throw .badSigningRequest(detail: "it is too long") }
        self.der = der
        if let parts = UsualParts(der) {
            key = parts.key
            guard
                key.publicKey.isValidSignature(
                    der[parts.signature], for: der[parts.info], signatureAlgorithm: .ecdsaWithSHA256)
            else { throw .badSigningRequest(detail: "its signature is not its key's") }
        } else {
            let request = try Self.parse(der)
            key = try SubjectKey(request.publicKey)
            guard key.publicKey.isValidSignature(request.signature, for: request) else {
                throw .badSigningRequest(detail: "its signature is not its key's")
            }
        }
    }

    /// The names that a request asks for.
    package struct Names: Hashable, Sendable {
        /// The one URI; nil when there is none, or more than one.
        package var uri: String?
        package var dnsNames: [String] = []

        package init(uri: String? = nil) { self.uri = uri }
    }

    /// Reads the names; only what an admin mints ad hoc goes by them.
    ///
    /// - Throws: `badSigningRequest`.
    package func names() throws(IssuanceError) -> Names { try Self.names(in: der) }

    /// Reads the names of a request that may prove nothing, for the record of its refusal.
    ///
    /// - Throws: `badSigningRequest`.
    package static func names(in der: [UInt8]) throws(IssuanceError) -> Names {
        guard der.count <= maximumLength else { throw .badSigningRequest(detail: "it is too long") }
        let extensions = try? parse(der).attributes.extensionRequest?.extensions
        var (found, uris) = (Names(), [String]())
        for name in (try? extensions?.subjectAlternativeNames) ?? SubjectAlternativeNames() {
            switch name {
            case .uniformResourceIdentifier(let uri): uris.append(uri)
            case .dnsName(let name): found.dnsNames.append(name)
            default: continue
            }
        }
        if uris.count == 1 { found.uri = uris.first }
        return found
    }

    private static func parse(_ der: [UInt8]) throws(IssuanceError) -> CertificateSigningRequest {
        do { return try CertificateSigningRequest(derEncoded: der) } catch {
            throw .badSigningRequest(detail: "it is not PKCS#10")
        }
    }

    /// Where things lie in a request as nearly every client writes it: a P-256 key, signed with SHA-256.
    private struct UsualParts {
        let key: SubjectKey
        /// What is signed.
        let info: Range<Int>
        /// `ECDSA-Sig-Value`.
        let signature: Range<Int>

        /// nil for any other request, which the library reads.
        init?(_ der: [UInt8]) {
            typealias Tag = DERWriter.Tag
            guard let request = DERCursor.only(Tag.sequence, in: der[...]) else { return nil }
            var parts = DERCursor(der[request])
            guard let info = parts.next(Tag.sequence), let algorithm = parts.next(Tag.sequence),
                der[algorithm.whole].elementsEqual(LeafPattern.ecdsaWithSHA256),
                let signature = parts.next(Tag.bitString), parts.isAtEnd, der[signature.content].first == 0
            else { return nil }
            var fields = DERCursor(der[info.content])
            guard let version = fields.next(Tag.integer), der[version.content].elementsEqual(CollectionOfOne(0)),
                fields.next(Tag.sequence) != nil, let keyInfo = fields.next(Tag.sequence),
                // The attributes, which are never left out.
                fields.next(0xA0) != nil, fields.isAtEnd,
                let key = SubjectKey(p256Info: der[keyInfo.whole])
            else { return nil }
            self.key = key
            self.info = info.whole
            self.signature = signature.content.dropFirst()
        }
    }
}
