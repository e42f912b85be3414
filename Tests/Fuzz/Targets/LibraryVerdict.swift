internal import Foundation
internal import SPIFFE
internal import SwiftASN1
@_spi(FixedExpiryValidationTime) internal import X509

/// What swift-certificates makes of a chain: its path validation is older than ours, and not as strict.
enum LibraryVerdict {
    static func accepts(_ chain: [Certificate], at instant: Date, authorities: X509Bundle) -> Bool {
        finish {
            var verifier = Verifier(rootCertificates: CertificateStore(authorities.authorities)) {
                RFC5280Policy(fixedExpiryValidationTime: instant)
                KnownExtensionsPolicy()
            }
            let result = await verifier.validate(leaf: chain[0], intermediates: CertificateStore(chain.dropFirst()))
            return if case .validCertificate = result { true } else { false }
        }
    }
}

/// Names the critical extensions that SPIFFE knows and the library leaves to its users.
private struct KnownExtensionsPolicy: VerifierPolicy, Sendable {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.subjectAlternativeName, .X509ExtensionID.extendedKeyUsage, .X509ExtensionID.keyUsage,
    ]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult { .meetsPolicy }
}
