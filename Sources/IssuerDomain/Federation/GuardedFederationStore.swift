/// A federation store that asks the guard of entries before it changes any.
///
/// What becomes of entries when a bundle goes is written in one transaction with the bundle; the guard would not hear of
/// it otherwise.
package struct GuardedFederationStore: FederationStore {
    private let store: any FederationStore
    private let entries: GuardedEntryStore

    package init(_ store: any FederationStore, entries: GuardedEntryStore) {
        (self.store, self.entries) = (store, entries)
    }

    package func loadFederation() async throws(StoreError) -> (
        bundles: [FederatedBundle], relationships: [FederationRelationship]
    ) {
        try await store.loadFederation()
    }

    package func apply(_ changes: [FederationChange], entries: [EntryChange]) async throws(StoreError) -> UInt64 {
        try await self.entries.apply(entries) { () async throws(StoreError) in
            try await store.apply(changes, entries: entries)
        }
    }
}
