/// Durable records of signing authorities; the private keys are elsewhere.
package protocol AuthorityStore: Sendable {
    /// Reads every authority, and the bundle sequence.
    ///
    /// - Throws: ``StoreError``.
    func loadAuthorities() async throws(StoreError) -> (authorities: [AuthorityRecord], sequence: UInt64)

    /// Makes changes durable, all or none, and raises the bundle sequence in the same transaction.
    ///
    /// - Returns: The new bundle sequence.
    /// - Throws: ``StoreError``.
    func apply(_ changes: [AuthorityChange]) async throws(StoreError) -> UInt64
}

/// One step in the history of authorities.
package enum AuthorityChange: Hashable, Sendable {
    case put(AuthorityRecord)
    case delete(id: String)
}
