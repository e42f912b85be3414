package import Foundation
package import Platform
package import SPIFFE
internal import SwiftASN1
package import X509

/// A CA certificate for an issuer that stands below another one of the same trust domain.
package enum DownstreamCertificate {
    /// Signs a CA certificate, and checks it before it leaves.
    ///
    /// The request conveys its key and nothing else: what it asks to be called must be the trust domain, and everything
    /// else follows from the authority above.
    ///
    /// - Parameters:
    ///   - request: Proves possession of the key; its one URI SAN must be the trust domain's ID.
    ///   - trustDomain: The trust domain of both.
    ///   - authority: The certificate to sign under.
    ///   - key: The private key of it.
    ///   - lifetime: How long it should live; it never outlives the authority.
    ///   - end: What it may not outlive either; nil for only the authority.
    ///   - now: The time.
    ///   - entropy: For the serial number.
    /// - Returns: The certificate, and which rule set its end.
    /// - Throws: ``IssuanceError``.
    package static func sign(
        _ request: SigningRequest, for trustDomain: TrustDomain, under authority: Certificate,
        key: Certificate.PrivateKey, lifetime: Duration, end: Date? = nil, now: Date, using entropy: inout some Entropy
    ) throws(IssuanceError) -> (certificate: Certificate, lifetime: LifetimeDecision) {
        guard try request.names() == SigningRequest.Names(uri: "\(trustDomain.id)") else {
            throw .badSigningRequest(detail: "it does not name \(trustDomain.id) and nothing else")
        }
        guard request.publicKey != authority.publicKey else { throw .keyOfAuthority }
        let constraints = try constraints(below: authority)
        let decision = try LifetimeDecision(
            asked: lifetime, isDefault: false, entryEnd: end,
            authority: authority.notValidBefore..<max(authority.notValidBefore, authority.notValidAfter), now: now)
        let serial = entropy.bytes(16)
        let signed: Certificate
        do {
            signed = try Certificate(
                version: .v3,
                serialNumber: SerialNumber.positive(serial),
                publicKey: request.publicKey,
                notValidBefore: decision.validity.lowerBound,
                notValidAfter: decision.validity.upperBound,
                issuer: authority.subject,
                subject: try subject(below: authority.subject, serial: serial),
                extensions: try Certificate.Extensions {
                    Critical(constraints)
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: request.publicKey)
                    AuthorityKeyIdentifier(keyIdentifier: keyIdentifier(of: authority))
                    SubjectAlternativeNames([.uniformResourceIdentifier("\(trustDomain.id)")])
                },
                issuerPrivateKey: key)
        } catch { throw .signingFailed(detail: "\(error)") }
        return (try validate(signed, request: request, trustDomain: trustDomain, authority: authority), decision)
    }

    /// One authority fewer may follow than the one above allows (RFC 5280 §4.2.1.9).
    private static func constraints(below authority: Certificate) throws(IssuanceError) -> BasicConstraints {
        do {
            guard case .isCertificateAuthority(let limit)? = try authority.extensions.basicConstraints else {
                throw IssuanceError.lintFailed(detail: "the authority is no certificate authority")
            }
            guard let limit else { return .isCertificateAuthority(maxPathLength: nil) }
            guard limit > 0 else { throw IssuanceError.pathLengthExhausted }
            return .isCertificateAuthority(maxPathLength: limit - 1)
        } catch let error as IssuanceError {
            throw error
        } catch { throw .lintFailed(detail: "the authority's constraints cannot be read") }
    }

    /// The subject of the authority above, at which depth this one stands, and a number that tells it from its siblings.
    private static func subject(below above: DistinguishedName, serial: [UInt8]) throws -> DistinguishedName {
        let number: ASN1ObjectIdentifier = [2, 5, 4, 5]
        let depth = above.joined().compactMap { Self.depth($0) }.max() ?? 0
        let kept = above.filter { name in !name.contains { $0.type == number || Self.depth($0) != nil } }
        return DistinguishedName(
            kept + [
                RelativeDistinguishedName(
                    .init(type: .RDNAttributeType.organizationalUnitName, utf8String: "\(depthMark)\(depth + 1)")),
                RelativeDistinguishedName(
                    try .init(type: number, printableString: Hex.encode(serial).uppercased())),
            ])
    }

    private static let depthMark = "DOWNSTREAM-"

    /// Which depth an attribute says; nil for one about something else.
    private static func depth(_ attribute: RelativeDistinguishedName.Attribute) -> Int? {
        guard attribute.type == .RDNAttributeType.organizationalUnitName, let text = String(attribute.value),
            text.hasPrefix(depthMark), let depth = UInt16(text.dropFirst(depthMark.count))
        else { return nil }
        return Int(depth)
    }

    private static func keyIdentifier(of authority: Certificate) -> ArraySlice<UInt8> {
        (try? authority.extensions.subjectKeyIdentifier)?.keyIdentifier
            ?? SubjectKeyIdentifier(hash: authority.publicKey).keyIdentifier
    }

    /// Reads the signed bytes back as a stranger would.
    private static func validate(
        _ signed: Certificate, request: SigningRequest, trustDomain: TrustDomain, authority: Certificate
    ) throws(IssuanceError) -> Certificate {
        let certificate: Certificate
        do {
            certificate = try DERConcatenation.certificate(in: try signed.derBytes()[...])
            try X509SVIDProfile.checkIntermediate(certificate)
            guard try X509SVIDProfile.spiffeID(of: certificate) == trustDomain.id else {
                throw SPIFFEError(.invalidX509SVID, "it names another trust domain")
            }
        } catch { throw .lintFailed(detail: "signed authority: \(error)") }
        guard certificate.publicKey == request.publicKey, certificate.issuer == authority.subject,
            certificate.subject != authority.subject, certificate.notValidAfter <= authority.notValidAfter,
            authority.publicKey.isValidSignature(certificate.signature, for: certificate)
        else { throw .lintFailed(detail: "signed authority differs from what was prepared") }
        return certificate
    }
}
