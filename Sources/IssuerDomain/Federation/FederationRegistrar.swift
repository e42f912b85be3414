internal import Platform
package import SPIFFE
internal import Synchronization

/// Registers what is known of other trust domains: decides, makes it durable, then lets everyone see it.
package final class FederationRegistrar: Sendable {
    private let store: any FederationStore
    private let feed: RevisionFeed
    private let state: Mutex<Federation>
    private let writing = Turnstile()

    /// Reads the store.
    ///
    /// - Parameters:
    ///   - trustDomain: The issuer's own.
    ///   - store: Where everything is kept.
    ///   - feed: Told of each change, so that agents come for the bundles.
    /// - Throws: ``StoreError``.
    package init(
        trustDomain: TrustDomain, store: any FederationStore, feed: RevisionFeed
    ) async throws(StoreError) {
        let loaded = try await store.loadFederation()
        var federation = Federation(trustDomain: trustDomain)
        for bundle in loaded.bundles { federation.apply(.putBundle(bundle)) }
        for relationship in loaded.relationships { federation.apply(.putRelationship(relationship)) }
        self.store = store
        self.feed = feed
        state = Mutex(federation)
    }

    /// Everything that is known now.
    package var current: Federation { state.withLock { $0 } }

    /// Whether entries may federate with a domain: its bundle is there.
    package func holdsBundle(of domain: TrustDomain) -> Bool { state.withLock { $0.bundles[domain] != nil } }

    // MARK: Bundles

    /// Stores bundles of domains that have none, each on its own merits, in one transaction.
    ///
    /// - Returns: A bundle or a refusal for each, in order; so do all that follow.
    /// - Throws: ``StoreError``; then nothing was changed.
    package func create(
        _ bundles: [FederatedBundle]
    ) async throws(StoreError) -> [Result<FederatedBundle, FederationError>] {
        try await change(bundles) { (federation, bundle) throws(FederationError) in
            (bundle, [try federation.creation(of: bundle)])
        }
    }

    /// Stores bundles, whether or not there was one.
    package func set(
        _ bundles: [FederatedBundle]
    ) async throws(StoreError) -> [Result<FederatedBundle, FederationError>] {
        try await change(bundles) { (federation, bundle) throws(FederationError) in
            (bundle, [try federation.setting(of: bundle)])
        }
    }

    /// Changes parts of bundles.
    package func update(
        _ patches: [FederatedBundlePatch]
    ) async throws(StoreError) -> [Result<FederatedBundle, FederationError>] {
        try await change(patches) { (federation, patch) throws(FederationError) in
            let bundle = try federation.update(by: patch)
            return (bundle, [.putBundle(bundle)])
        }
    }

    /// Deletes bundles, and settles what becomes of the entries that federate with them, in one transaction.
    ///
    /// - Parameters:
    ///   - domains: Whose bundles.
    ///   - mode: What becomes of the entries.
    ///   - entries: Where they are.
    /// - Returns: A domain or a refusal for each, in order.
    /// - Throws: ``StoreError``; then nothing was changed.
    package func deleteBundles(
        of domains: [TrustDomain], mode: BundleDeletion, entries: EntryRegistrar
    ) async throws(StoreError) -> [Result<TrustDomain, FederationError>] {
        try await writing.pass { () async throws(StoreError) in
            try await entries.change { index async throws(StoreError) in
                var (federation, index) = (self.current, index)
                var (changes, entryChanges): ([FederationChange], [EntryChange]) = ([], [])
                let results = domains.map { domain in
                    Result { () throws(FederationError) -> TrustDomain in
                        let settled = mode.settle(index, leaving: domain)
                        let change = try federation.deletion(of: domain, entries: settled.staying)
                        federation.apply(change)
                        index.apply(settled.changes, revision: index.revision)
                        changes.append(change)
                        entryChanges += settled.changes
                        return domain
                    }
                }
                guard !changes.isEmpty else { return (results, [], nil) }
                let revision = try await self.store.apply(changes, entries: entryChanges)
                self.state.withLock { [federation] in $0 = federation }
                return (results, entryChanges, revision)
            }
        }
    }

    /// Stores a bundle that came from the endpoint of a relationship.
    ///
    /// - Returns: Whether it said anything new.
    /// - Throws: ``BundleFetchError``; then nothing was changed.
    package func refresh(
        _ relationship: FederationRelationship, with bundle: FederatedBundle
    ) async throws(BundleFetchError) -> Bool {
        try await writing.pass { () async throws(BundleFetchError) in
            var federation = self.current
            guard let change = try federation.refresh(of: relationship, with: bundle) else { return false }
            federation.apply(change)
            do throws(StoreError) {
                try await self.commit([change], becoming: federation)
            } catch { throw .store(error) }
            return true
        }
    }

    // MARK: Relationships

    /// Begins to follow other domains' bundles.
    package func create(
        _ drafts: [FederationRelationshipDraft]
    ) async throws(StoreError) -> [Result<FederationRelationship, FederationError>] {
        try await change(drafts) { (federation, draft) throws(FederationError) in
            (draft.relationship, try federation.creation(of: draft))
        }
    }

    /// Changes how bundles are followed.
    package func update(
        _ patches: [FederationRelationshipPatch]
    ) async throws(StoreError) -> [Result<FederationRelationship, FederationError>] {
        try await change(patches) { (federation, patch) throws(FederationError) in
            try federation.update(by: patch)
        }
    }

    /// Ends relationships; the bundles stay until somebody deletes them.
    package func deleteRelationships(
        with domains: [TrustDomain]
    ) async throws(StoreError) -> [Result<TrustDomain, FederationError>] {
        try await change(domains) { (federation, domain) throws(FederationError) in
            (domain, [try federation.deletionOfRelationship(with: domain)])
        }
    }

    // MARK: Changing

    /// Decides item after item, each on what the earlier ones did, and makes it durable at once.
    private func change<Item: Sendable, Value: Sendable>(
        _ items: [Item],
        _ decide: @escaping @Sendable (Federation, Item) throws(FederationError) -> (Value, [FederationChange])
    ) async throws(StoreError) -> [Result<Value, FederationError>] {
        try await writing.pass { () async throws(StoreError) in
            var federation = self.current
            var changes: [FederationChange] = []
            let results = items.map { item in
                Result { () throws(FederationError) -> Value in
                    let (value, decided) = try decide(federation, item)
                    for change in decided { federation.apply(change) }
                    changes += decided
                    return value
                }
            }
            guard !changes.isEmpty else { return results }
            try await self.commit(changes, becoming: federation)
            return results
        }
    }

    private func commit(_ changes: [FederationChange], becoming federation: Federation) async throws(StoreError) {
        let revision = try await store.apply(changes, entries: [])
        state.withLock { $0 = federation }
        feed.announce(revision)
    }
}
