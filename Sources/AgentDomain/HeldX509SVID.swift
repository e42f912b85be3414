package import Foundation
package import Platform
package import SPIFFE

/// An X.509-SVID with its key, ready to be handed to workloads that match its entry.
package struct HeldX509SVID: Hashable, Sendable {
    package let spiffeID: SPIFFEID
    /// The revision of the entry it was issued for; an updated entry needs a new SVID.
    package let entryRevision: Int64
    /// Concatenated DER, leaf first.
    package let chain: [UInt8]
    /// PKCS#8 DER.
    package let key: SecretBytes
    package let validity: Range<Date>
    package private(set) var renewal: RenewalPlan
    /// The subject key identifier, in hex, of the bundle's authority that vouches for it; empty when the chain does not
    /// say.
    package let authorityKeyID: String

    package init(
        spiffeID: SPIFFEID, entryRevision: Int64, chain: [UInt8], key: SecretBytes, validity: Range<Date>,
        renewal: RenewalPlan, authorityKeyID: String = ""
    ) {
        self.spiffeID = spiffeID
        self.entryRevision = entryRevision
        self.chain = chain
        self.key = key
        self.validity = validity
        self.renewal = renewal
        self.authorityKeyID = authorityKeyID
    }

    /// Brings the renewal forward.
    package mutating func hasten(
        now: Date, within spread: TimeInterval, using entropy: inout some RandomNumberGenerator
    ) {
        renewal.hasten(now: now, within: spread, using: &entropy)
    }
}
