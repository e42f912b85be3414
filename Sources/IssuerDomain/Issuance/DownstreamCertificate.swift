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
    ///   - above: What leads from its issuer to a root, the root included; empty when it is a root itself.
    ///   - lifetime: How long it should live; it never outlives the authority, nor anything above that.
    ///   - isDefault: Whether nobody asked for that lifetime.
    ///   - end: When the entry ends that permits it; nil when there is none, or it has no end.
    ///   - ceilings: Whatever else it may not outlive.
    ///   - now: The time.
    ///   - entropy: For the serial number.
    /// - Returns: The certificate, and which rule set its end.
    /// - Throws: ``IssuanceError``.
    package static func sign(
        _ request: SigningRequest, for trustDomain: TrustDomain, under authority: Certificate,
        key: Certificate.PrivateKey, above: [Certificate] = [], lifetime: Duration, isDefault: Bool = false,
        end: Date? = nil, ceilings: [LifetimeCeiling] = [], now: Date, using entropy: inout some Entropy
    ) throws(IssuanceError) -> (certificate: Certificate, lifetime: LifetimeDecision) {
        guard try request.names() == SigningRequest.Names(uri: "\(trustDomain.id)") else {
            throw .badSigningRequest(detail: "it does not name \(trustDomain.id) and nothing else")
        }
        guard request.publicKey != authority.publicKey else { throw .keyOfAuthority }
        let way = [authority] + above
        let constraints = try constraints(below: way)
        let start = way.map(\.notValidBefore).max() ?? authority.notValidBefore
        let decision = try LifetimeDecision(
            asked: lifetime, isDefault: isDefault, entryEnd: end, ceilings: ceilings,
            authority: start..<max(start, way.map(\.notValidAfter).min() ?? authority.notValidAfter), now: now)
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

    /// As many authorities may follow as everything above allows, the new one and those in between counted
    /// (RFC 5280 §4.2.1.9).
    ///
    /// - Parameter way: From the direct issuer to the root.
    /// - Returns: What the new one allows below itself.
    /// - Throws: `pathLengthExhausted` or `lintFailed`.
    private static func constraints(below way: [Certificate]) throws(IssuanceError) -> BasicConstraints {
        let limits: [Int?]
        do { limits = try way.map { try pathLength(of: $0) } } catch let error as IssuanceError { throw error } catch {
            throw .lintFailed(detail: "the authority's constraints cannot be read")
        }
        let left = limits.enumerated().compactMap { depth, limit in limit.map { $0 - depth - 1 } }.min()
        guard left.map({ $0 >= 0 }) ?? true else { throw .pathLengthExhausted }
        return .isCertificateAuthority(maxPathLength: left)
    }

    /// How many authorities may follow one; nil for any number.
    private static func pathLength(of authority: Certificate) throws -> Int? {
        guard case .isCertificateAuthority(let limit)? = try authority.extensions.basicConstraints else {
            throw IssuanceError.lintFailed(detail: "the authority is no certificate authority")
        }
        return limit
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
