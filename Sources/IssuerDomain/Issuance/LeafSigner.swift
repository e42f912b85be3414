internal import Foundation
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
        try validate(leaf, toBeSigned: toBeSigned, template: template, under: authority, by: pattern)
        return leaf
    }

    /// Reads the signed bytes back as a stranger would.
    private static func validate(
        _ signed: [UInt8], toBeSigned: [UInt8], template: LeafTemplate, under authority: X509Authority,
        by pattern: LeafPattern
    ) throws(IssuanceError) {
        guard let reading = LeafReading(signed), signed[reading.toBeSigned].elementsEqual(toBeSigned) else {
            throw .lintFailed(detail: "signed leaf differs from what was prepared")
        }
        if let difference = reading.firstDifference(from: template, under: pattern) {
            throw .lintFailed(detail: "signed leaf differs from what was decided: \(difference)")
        }
        guard
            authority.certificate.publicKey.isValidSignature(
                signed[reading.signature], for: signed[reading.toBeSigned],
                signatureAlgorithm: pattern.signatureAlgorithm)
        else { throw .lintFailed(detail: "signature of the leaf is not the authority's") }
    }
}
