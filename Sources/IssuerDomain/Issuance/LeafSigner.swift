internal import Foundation
internal import SPIFFE
internal import SwiftASN1
internal import X509

/// Signs leaves: the only place where a CA key meets a leaf.
package enum LeafSigner {
    /// Signs what the permit allows, and checks what came out before it leaves.
    ///
    /// - Parameter permit: Used up.
    /// - Returns: The leaf, DER.
    /// - Throws: `signingFailed` or `lintFailed`.
    package static func sign(_ permit: consuming SigningPermit) throws(IssuanceError) -> [UInt8] {
        let (template, authority) = (permit.template, permit.authority)
        guard let pattern = authority.leafPattern else {
            throw .signingFailed(detail: "the authority's name cannot be written")
        }
        let toBeSigned = pattern.toBeSigned(template)
        let signature: [UInt8]
        do {
            signature = try authority.key.certificateKey.sign(
                bytes: toBeSigned, signatureAlgorithm: pattern.signatureAlgorithm
            ).rawRepresentation
        } catch {
            throw .signingFailed(detail: "\(error)")
        }
        let leaf = pattern.certificate(toBeSigned, signature: signature)
        try validate(leaf, toBeSigned: toBeSigned, template: template, authority: authority)
        return leaf
    }

    /// Reads the signed bytes back as a stranger would.
    private static func validate(
        _ signed: [UInt8], toBeSigned: [UInt8], template: LeafTemplate, authority: X509Authority
    ) throws(IssuanceError) {
        let leaf: Certificate
        let id: SPIFFEID
        do {
            leaf = try DERConcatenation.certificate(in: signed[...])
            id = try X509SVIDProfile.checkLeaf(leaf)
        } catch {
            throw .lintFailed(detail: "signed leaf: \(error)")
        }
        // The key is among the bytes that are compared; to compare the points would cost a tenth of a signature.
        guard id == template.id, leaf.serialNumber == template.serial,
            leaf.notValidBefore == template.validity.lowerBound, leaf.notValidAfter == template.validity.upperBound,
            leaf.tbsCertificateBytes.elementsEqual(toBeSigned)
        else { throw .lintFailed(detail: "signed leaf differs from what was prepared") }
        guard authority.certificate.publicKey.isValidSignature(leaf.signature, for: leaf) else {
            throw .lintFailed(detail: "signature of the leaf is not the authority's")
        }
    }
}
