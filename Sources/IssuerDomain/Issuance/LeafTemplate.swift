package import Foundation
package import SPIFFE
package import X509

/// An X.509-SVID before it is signed, in full.
package struct LeafTemplate: Sendable {
    package let id: SPIFFEID
    package let key: SubjectKey
    package let validity: Range<Date>
    package let dnsNames: [String]
    package let serial: Certificate.SerialNumber

    package init(
        id: SPIFFEID, key: SubjectKey, validity: Range<Date>, dnsNames: [String],
        serial: Certificate.SerialNumber
    ) {
        self.id = id
        self.key = key
        self.validity = validity
        self.dnsNames = dnsNames
        self.serial = serial
    }
}

/// The permission to sign one leaf, once.
///
/// Only ``LeafLint`` gives it, and signing takes it away.
package struct SigningPermit: ~Copyable {
    let template: LeafTemplate
    let authority: X509Authority

    init(_ template: LeafTemplate, under authority: X509Authority) {
        (self.template, self.authority) = (template, authority)
    }
}

/// What must be true of a leaf before a CA key is touched for it.
package enum LeafLint {
    /// Judges a template against the authority that is to sign it.
    ///
    /// - Throws: `lintFailed`, `keyOfAuthority`.
    package static func check(
        _ template: LeafTemplate, under authority: X509Authority, trustDomain: TrustDomain
    ) throws(IssuanceError) -> SigningPermit {
        guard template.id.trustDomain == trustDomain else { throw .foreignTrustDomain(template.id) }
        guard template.id.hasPath else { throw .lintFailed(detail: "leaf names the trust domain itself (X509-03)") }
        guard template.key != authority.subjectKey else { throw .keyOfAuthority }
        let allowed = authority.validity
        guard allowed.lowerBound <= template.validity.lowerBound, template.validity.upperBound <= allowed.upperBound
        else {
            throw .lintFailed(detail: "validity is not within the authority's")
        }
        guard !template.validity.isEmpty else { throw .lintFailed(detail: "validity is empty") }
        return SigningPermit(template, under: authority)
    }
}
