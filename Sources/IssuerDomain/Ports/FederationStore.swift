package import SPIFFE

/// Durable bundles of other trust domains, and the relationships by which they are kept fresh.
package protocol FederationStore: Sendable {
    /// Reads everything, as of one instant.
    ///
    /// - Throws: ``StoreError``.
    func loadFederation() async throws(StoreError) -> (
        bundles: [FederatedBundle], relationships: [FederationRelationship]
    )

    /// Makes changes durable, all or none, and appends each to the change log in the same transaction.
    ///
    /// - Parameters:
    ///   - changes: At least one.
    ///   - entries: What becomes of entries that federate with a domain which goes.
    /// - Returns: The number of the last change.
    /// - Throws: ``StoreError``.
    func apply(_ changes: [FederationChange], entries: [EntryChange]) async throws(StoreError) -> UInt64
}

/// One step in the history of what is known of other trust domains.
package enum FederationChange: Hashable, Sendable {
    case putBundle(FederatedBundle)
    case deleteBundle(TrustDomain)
    case putRelationship(FederationRelationship)
    case deleteRelationship(TrustDomain)
}
