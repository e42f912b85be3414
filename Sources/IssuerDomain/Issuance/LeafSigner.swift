internal import Foundation
internal import SPIFFE
internal import SwiftASN1
package import X509

/// Signs leaves: the only place where a CA key meets a leaf.
package enum LeafSigner {
    /// Signs what the permit allows, and checks what came out before it leaves.
    ///
    /// - Parameter permit: Used up.
    /// - Returns: The leaf, and its DER.
    /// - Throws: `signingFailed` or `lintFailed`.
    package static func sign(
        _ permit: consuming SigningPermit
    ) throws(IssuanceError) -> (leaf: Certificate, der: [UInt8]) {
        let (template, authority) = (permit.template, permit.authority)
        let leaf: Certificate
        do {
            leaf = try Certificate(
                version: .v3,
                serialNumber: template.serial,
                publicKey: template.publicKey,
                notValidBefore: template.validity.lowerBound,
                notValidAfter: template.validity.upperBound,
                issuer: authority.certificate.subject,
                subject: try subject(of: template),
                extensions: try extensions(of: template, authority: authority),
                issuerPrivateKey: authority.key.certificateKey)
        } catch {
            throw .signingFailed(detail: "\(error)")
        }
        return try validate(leaf, against: template, authority: authority)
    }

    private static func subject(of template: LeafTemplate) throws -> DistinguishedName {
        // Never the CA's own name: OpenSSL calls a leaf self-signed whose subject is its issuer's.
        try DistinguishedName {
            OrganizationName("Mintmark SVID")
            if let name = template.dnsNames.first, name.utf8.count <= 64 { CommonName(name) }
        }
    }

    private static func extensions(
        of template: LeafTemplate, authority: X509Authority
    ) throws -> Certificate.Extensions {
        try Certificate.Extensions {
            Critical(BasicConstraints.notCertificateAuthority)
            // P-256 needs no more than signatures; the others are for RSA key transport (X509-08).
            Critical(KeyUsage(digitalSignature: true))
            try ExtendedKeyUsage([.serverAuth, .clientAuth])
            SubjectKeyIdentifier(hash: template.publicKey)
            AuthorityKeyIdentifier(keyIdentifier: authority.keyIdentifier)
            SubjectAlternativeNames(
                [.uniformResourceIdentifier("\(template.id)")] + template.dnsNames.map { .dnsName($0) })
        }
    }

    /// Reads the signed bytes back as a stranger would.
    private static func validate(
        _ signed: Certificate, against template: LeafTemplate, authority: X509Authority
    ) throws(IssuanceError) -> (leaf: Certificate, der: [UInt8]) {
        let (leaf, der): (Certificate, [UInt8])
        let id: SPIFFEID
        do {
            der = try signed.derBytes()
            leaf = try DERConcatenation.certificate(in: der[...])
            id = try X509SVIDProfile.checkLeaf(leaf)
        } catch {
            throw .lintFailed(detail: "signed leaf: \(error)")
        }
        guard id == template.id, leaf.publicKey == template.publicKey, leaf.serialNumber == template.serial,
            leaf.notValidBefore == template.validity.lowerBound, leaf.notValidAfter == template.validity.upperBound,
            leaf.issuer == authority.certificate.subject
        else { throw .lintFailed(detail: "signed leaf differs from what was prepared") }
        guard authority.certificate.publicKey.isValidSignature(leaf.signature, for: leaf) else {
            throw .lintFailed(detail: "signature of the leaf is not the authority's")
        }
        return (leaf, der)
    }
}
