public import Foundation
internal import SwiftASN1
@_spi(FixedExpiryValidationTime) public import X509

/// Path validation by RFC 5280 with the X.509-SVID profile on top.
public enum X509SVIDVerification {
    /// The longest chain judged; a hostile peer may send more.
    public static let maximumChainLength = 10

    /// Verifies a presented chain against the bundle of the leaf's own trust domain, and no other (X509-24..30).
    ///
    /// - Parameters:
    ///   - presented: The certificates as the peer sent them, leaf first.
    ///   - instant: The time at which everything must be valid.
    ///   - bundle: Looks up the bundle of a trust domain; nil means that the domain is not trusted.
    /// - Returns: The identity, now proven.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID`, `invalidID`, `unknownTrustDomain` or `untrusted`.
    public static func verify(
        _ presented: [Certificate], at instant: Date, bundle: (TrustDomain) -> X509Bundle?
    ) async throws(SPIFFEError) -> VerifiedX509SVID {
        guard let leaf = presented.first else { throw SPIFFEError(.invalidX509SVID, "no certificate was presented") }
        guard presented.count <= maximumChainLength else {
            throw SPIFFEError(.invalidX509SVID, "chain is longer than \(maximumChainLength) certificates")
        }
        let id = try X509SVIDProfile.checkLeaf(leaf)
        for intermediate in presented.dropFirst() { try X509SVIDProfile.checkIntermediate(intermediate) }
        guard let bundle = bundle(id.trustDomain), bundle.trustDomain == id.trustDomain else {
            throw SPIFFEError(.unknownTrustDomain, "no bundle is held for trust domain \(id.trustDomain)")
        }
        // A leaf that is itself in the root store would be trusted without a signature.
        guard !bundle.authorities.contains(leaf) else {
            throw SPIFFEError(.untrusted, "leaf is one of the authorities")
        }
        var verifier = Verifier(rootCertificates: CertificateStore(bundle.authorities)) {
            RFC5280Policy(fixedExpiryValidationTime: instant)
            IssuersMaySignPolicy()
        }
        let result = await verifier.validate(
            leaf: leaf, intermediates: CertificateStore(presented.dropFirst()))
        switch result {
        case .validCertificate(let chain):
            return VerifiedX509SVID(id: id, chain: Array(chain), leaf: leaf)
        case .couldNotValidate(let failures):
            let reasons = failures.map { "\($0.policyFailureReason)" }.joined(separator: "; ")
            throw SPIFFEError(
                .untrusted,
                reasons.isEmpty ? "no authority of \(id.trustDomain) vouches for it" : "chain refused: \(reasons)")
        }
    }
}

/// Every issuer in the path may sign certificates, and every critical extension of ours is accounted for.
private struct IssuersMaySignPolicy: VerifierPolicy, Sendable {
    // The SAN is checked by the profile; an extended key usage says nothing that SPIFFE verification relies on (X11).
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.subjectAlternativeName, .X509ExtensionID.extendedKeyUsage,
    ]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        for issuer in chain.dropFirst() {
            guard let usage = try? issuer.extensions.keyUsage else { continue }
            guard usage.keyCertSign else {
                return .failsToMeetPolicy(reason: "an issuer may not sign certificates")
            }
        }
        return .meetsPolicy
    }
}
