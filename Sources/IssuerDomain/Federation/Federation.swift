package import SPIFFE

/// Every other trust domain that this issuer knows: decides what may change, and says what did.
package struct Federation: Sendable {
    package static let maximumDomains = 1000

    /// The issuer's own trust domain.
    package let trustDomain: TrustDomain
    package private(set) var bundles: [TrustDomain: FederatedBundle] = [:]
    package private(set) var relationships: [TrustDomain: FederationRelationship] = [:]

    package init(trustDomain: TrustDomain) { self.trustDomain = trustDomain }

    /// Takes in a change that was decided, or read from the store.
    package mutating func apply(_ change: FederationChange) {
        switch change {
        case .putBundle(let bundle): bundles[bundle.trustDomain] = bundle
        case .deleteBundle(let domain): bundles[domain] = nil
        case .putRelationship(let relationship): relationships[relationship.trustDomain] = relationship
        case .deleteRelationship(let domain): relationships[domain] = nil
        }
    }

    // MARK: Bundles

    func creation(of bundle: FederatedBundle) throws(FederationError) -> FederationChange {
        try refuseOwn(bundle.trustDomain)
        guard bundles[bundle.trustDomain] == nil else { throw .bundleExists(bundle.trustDomain) }
        return try setting(of: bundle)
    }

    func setting(of bundle: FederatedBundle) throws(FederationError) -> FederationChange {
        try refuseOwn(bundle.trustDomain)
        guard bundles[bundle.trustDomain] != nil || bundles.count < Self.maximumDomains else {
            throw .tooMany(limit: Self.maximumDomains)
        }
        return .putBundle(bundle)
    }

    func update(by patch: FederatedBundlePatch) throws(FederationError) -> FederatedBundle {
        let domain = patch.bundle.trustDomain
        try refuseOwn(domain)
        guard let old = bundles[domain] else { throw .bundleMissing(domain) }
        return try patch.applied(to: old)
    }

    // `entries` counts those that federate with the domain and stay that way.
    func deletion(of domain: TrustDomain, entries: Int) throws(FederationError) -> FederationChange {
        try refuseOwn(domain)
        guard bundles[domain] != nil else { throw .bundleMissing(domain) }
        guard entries == 0 else { throw .bundleInUse(domain, entries: entries) }
        return .deleteBundle(domain)
    }

    /// Judges a bundle that came from the endpoint of a relationship.
    ///
    /// - Returns: nil when it says nothing new.
    func refresh(
        of relationship: FederationRelationship, with bundle: FederatedBundle
    ) throws(BundleFetchError) -> FederationChange? {
        guard relationships[relationship.trustDomain] == relationship else { throw .overtaken }
        if let held = bundles[relationship.trustDomain] {
            if let old = held.trust.sequence, let new = bundle.trust.sequence, new < old {
                throw .older(fetched: new, held: old)
            }
            if held.trust == bundle.trust { return nil }
        } else if bundles.count >= Self.maximumDomains {
            throw .malformed("\(FederationError.tooMany(limit: Self.maximumDomains))")
        }
        return .putBundle(bundle)
    }

    // MARK: Relationships

    func creation(of draft: FederationRelationshipDraft) throws(FederationError) -> [FederationChange] {
        let domain = draft.relationship.trustDomain
        try refuseOwn(domain)
        guard relationships[domain] == nil else { throw .relationshipExists(domain) }
        guard relationships.count < Self.maximumDomains else { throw .tooMany(limit: Self.maximumDomains) }
        return try [.putRelationship(draft.relationship)] + bootstrap(draft.bundle, of: domain)
    }

    func update(
        by patch: FederationRelationshipPatch
    ) throws(FederationError) -> (relationship: FederationRelationship, changes: [FederationChange]) {
        guard var relationship = relationships[patch.trustDomain] else { throw .relationshipMissing(patch.trustDomain) }
        if let url = patch.url { relationship.endpoint.url = url }
        if let profile = patch.profile { relationship.endpoint.profile = profile }
        return (
            relationship,
            try [.putRelationship(relationship)] + bootstrap(patch.bundle, of: patch.trustDomain)
        )
    }

    func deletionOfRelationship(with domain: TrustDomain) throws(FederationError) -> FederationChange {
        guard relationships[domain] != nil else { throw .relationshipMissing(domain) }
        return .deleteRelationship(domain)
    }

    private func bootstrap(
        _ bundle: FederatedBundle?, of domain: TrustDomain
    ) throws(FederationError) -> [FederationChange] {
        guard let bundle else { return [] }
        guard bundle.trustDomain == domain else { throw .bundleOfAnother(bundle.trustDomain) }
        return [try setting(of: bundle)]
    }

    private func refuseOwn(_ domain: TrustDomain) throws(FederationError) {
        guard domain != trustDomain else { throw .ownTrustDomain }
    }
}
