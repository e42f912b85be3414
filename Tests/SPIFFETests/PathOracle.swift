import Foundation
import SPIFFE
import SwiftASN1
@_spi(FixedExpiryValidationTime) import X509

/// Judges chains with the verifier of swift-certificates, as another pair of eyes on our own path search.
enum PathOracle {
    /// Whether the leaf has a path to a root, with the rules of the profile on top.
    static func accepts(_ presented: [Certificate], roots: [Certificate], at instant: Date) async -> Bool {
        guard let leaf = presented.first, (try? X509SVIDProfile.checkLeaf(leaf)) != nil,
            presented.dropFirst().allSatisfy({ (try? X509SVIDProfile.checkIntermediate($0)) != nil }),
            !roots.contains(leaf)
        else { return false }
        var verifier = Verifier(rootCertificates: CertificateStore(roots)) {
            RFC5280Policy(fixedExpiryValidationTime: instant)
            MaySignPolicy()
        }
        let result = await verifier.validate(leaf: leaf, intermediates: CertificateStore(presented.dropFirst()))
        if case .validCertificate = result { return true }
        return false
    }
}

/// Takes note of the two extensions that the profile judges, and asks for keyCertSign, which RFC 5280 wants asked for.
private struct MaySignPolicy: VerifierPolicy, Sendable {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.subjectAlternativeName, .X509ExtensionID.extendedKeyUsage,
    ]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        let maySign = chain.dropFirst().allSatisfy { (try? $0.extensions.keyUsage)??.keyCertSign ?? true }
        return maySign ? .meetsPolicy : .failsToMeetPolicy(reason: "an issuer may not sign certificates")
    }
}
