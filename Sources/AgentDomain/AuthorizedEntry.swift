package import Foundation
package import SPIFFE

/// What this node may serve to a workload that matches: an entry as the issuer tells it to agents.
package struct AuthorizedEntry: Hashable, Sendable, Identifiable {
    package let id: String
    /// What is issued; the prefix of it for an entry with a template that no process has filled yet.
    package private(set) var spiffeID: SPIFFEID
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
    package let conditions: EntryConditions
    /// Where its SVIDs are kept.
    package private(set) var slot: SVIDSlot

    /// The least level that a process must reach.
    package var minimumAssurance: AssuranceLevel { terms.minimum }
    /// Whether anonymous executable memory is admitted.
    package var allowsJIT: Bool { terms.allowsJIT }

    package init(
        id: String, spiffeID: SPIFFEID, selectors: Set<Selector>, hint: String = "",
        federatesWith: [TrustDomain] = [], prefetchesX509: Bool = true, includesJTI: Bool = false,
        storesSVID: Bool = false, expiresAt: Date? = nil, revision: Int64, createdAt: Date, terms: AssuranceTerms,
        conditions: EntryConditions = .init()
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
        self.conditions = conditions
        slot = SVIDSlot(entryID: id)
    }

    /// Every selector that decides, and one for each family that does: what has to be looked at follows from them.
    package var decidingSelectors: Set<Selector> {
        selectors.union(conditions.rules.named).union(conditions.template?.named ?? [])
    }

    /// Whether its SVIDs can be made only for a process that is there.
    package var isOnDemand: Bool { conditions.template != nil || conditions.hasInstanceKeys }

    /// The entry as it is for one process.
    ///
    /// - Parameter found: Everything found on the process.
    /// - Returns: nil when the facts that its template needs are not known or not fit for a path.
    package func filled(by found: Set<Selector>) -> AuthorizedEntry? {
        guard let template = conditions.template else { return self }
        guard let identity = template.identity(under: spiffeID, found: found) else { return nil }
        var filled = self
        filled.spiffeID = identity
        filled.slot = SVIDSlot(entryID: id, identity: identity, instance: slot.instance)
        return filled
    }

    /// The entry as it is for one process, where it keeps processes apart.
    package func bound(to instance: String) -> AuthorizedEntry {
        guard conditions.hasInstanceKeys else { return self }
        var bound = self
        bound.slot = SVIDSlot(entryID: id, identity: slot.identity, instance: instance)
        return bound
    }

    /// The entry of a slot.
    ///
    /// - Returns: nil when the slot is another entry's, or not one that this entry has now.
    package func entry(in slot: SVIDSlot) -> AuthorizedEntry? {
        guard slot.entryID == id, conditions.hasInstanceKeys == (slot.instance != nil) else { return nil }
        var entry = self
        switch (conditions.template, slot.identity) {
        case (nil, nil): break
        case (let template?, let identity?):
            guard template.admits(identity, under: spiffeID) else { return nil }
            entry.spiffeID = identity
        case (nil, _?), (_?, nil): return nil
        }
        entry.slot = slot
        return entry
    }
}
