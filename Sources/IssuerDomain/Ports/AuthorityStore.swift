/// Durable records of authorities; the private keys are elsewhere.
///
/// One store may hold those of several servers: each changes its own alone, and all of them are published.
package protocol AuthorityStore: Sendable {
    /// Reads every authority, and the bundle sequence.
    ///
    /// - Throws: ``StoreError``.
    func loadAuthorities() async throws(StoreError) -> (authorities: [AuthorityRecord], sequence: UInt64)

    /// Makes changes durable, all or none, and raises the bundle sequence in the same transaction.
    ///
    /// Putting a record that is known changes its state and its server alone. A second active authority of one kind and
    /// server fails, and so does any other state for one that was revoked. Putting one as revoked raises the store's
    /// security revision.
    ///
    /// - Returns: The new bundle sequence.
    /// - Throws: ``StoreError``.
    func apply(_ changes: [AuthorityChange]) async throws(StoreError) -> UInt64
}

/// One step in the history of authorities.
package enum AuthorityChange: Hashable, Sendable {
    case put(AuthorityRecord)
    case delete(AuthorityRecord.Kind, id: String)
}
