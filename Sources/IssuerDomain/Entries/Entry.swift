package import Foundation
package import SPIFFE

/// A registration: which workload, under which agent, may hold which identity.
package struct Entry: Hashable, Sendable, Identifiable {
    /// Chosen by the issuer, or by the admin within the same rules.
    package let id: String
    package var contents: EntryContents
    /// Grows with each update, from 0.
    package var revision: Int64
    package let createdAt: Date

    package init(id: String, contents: EntryContents, revision: Int64, createdAt: Date) {
        (self.id, self.contents, self.revision, self.createdAt) = (id, contents, revision, createdAt)
    }
}

/// What an admin says about an entry.
///
/// Always valid within the trust domain it was made for.
package struct EntryContents: Hashable, Sendable {
    package var spiffeID: SPIFFEID
    package var parentID: SPIFFEID
    /// All must be found on a workload; sorted, without repeats, never empty.
    package var selectors: [Selector]
    /// nil stands for the issuer's default.
    package var x509TTL: Duration?
    package var jwtTTL: Duration?
    package var federatesWith: [TrustDomain]
    package var isAdmin: Bool
    package var isDownstream: Bool
    package var expiresAt: Date?
    package var dnsNames: [String]
    package var hint: String
    package var storesSVID: Bool
    package var prefetchesX509: Bool
    package var includesJTI: Bool
    /// What must have been shown of a process; never less than the selectors need.
    package var terms: AssuranceTerms
    package var details = EntryDetails()

    /// Creates contents with everything optional left out, and the terms that follow from the selectors.
    package init(spiffeID: SPIFFEID, parentID: SPIFFEID, selectors: [Selector]) {
        self.spiffeID = spiffeID
        self.parentID = parentID
        self.selectors = Array(Set(selectors)).sorted()
        federatesWith = []
        isAdmin = false
        isDownstream = false
        dnsNames = []
        hint = ""
        storesSVID = false
        prefetchesX509 = true
        includesJTI = false
        terms = AssuranceDefaults().terms(for: self.selectors)
    }

    /// What makes two entries the same registration, whatever their settings.
    package var key: EntryKey { EntryKey(spiffeID: spiffeID, parentID: parentID, selectors: selectors) }
}

/// An identity for a workload under a parent: unique among entries.
package struct EntryKey: Hashable, Sendable {
    package let spiffeID: SPIFFEID
    package let parentID: SPIFFEID
    package let selectors: [Selector]
}
