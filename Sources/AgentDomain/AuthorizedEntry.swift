package import Foundation
package import SPIFFE

/// What this node may serve to a workload that matches: an entry as the issuer tells it to agents.
package struct AuthorizedEntry: Hashable, Sendable, Identifiable {
    package let id: String
    package let spiffeID: SPIFFEID
    package let selectors: Set<Selector>
    package let hint: String
    package let federatesWith: [TrustDomain]
    package let prefetchesX509: Bool
    package let includesJTI: Bool
    package let storesSVID: Bool
    package let expiresAt: Date?
    package let revision: Int64
    package let createdAt: Date
    /// What must have been shown of a process, whatever its selectors.
    package let terms: AssuranceTerms

    /// The least level that a process must reach.
    package var minimumAssurance: AssuranceLevel { terms.minimum }
    /// Whether anonymous executable memory is admitted.
    package var allowsJIT: Bool { terms.allowsJIT }

    package init(
        id: String, spiffeID: SPIFFEID, selectors: Set<Selector>, hint: String = "",
        federatesWith: [TrustDomain] = [], prefetchesX509: Bool = true, includesJTI: Bool = false,
        storesSVID: Bool = false, expiresAt: Date? = nil, revision: Int64, createdAt: Date, terms: AssuranceTerms
    ) {
        self.id = id
        self.spiffeID = spiffeID
        self.selectors = selectors
        self.hint = hint
        self.federatesWith = federatesWith
        self.prefetchesX509 = prefetchesX509
        self.includesJTI = includesJTI
        self.storesSVID = storesSVID
        self.expiresAt = expiresAt
        self.revision = revision
        self.createdAt = createdAt
        self.terms = terms
    }
}
