/// Durable entries and the ordered log of their changes.
package protocol EntryStore: Sendable {
    /// Reads everything, as of one instant.
    ///
    /// - Throws: ``StoreError``.
    func loadEntries() async throws(StoreError) -> (entries: [Entry], revision: UInt64)

    /// Makes changes durable, all or none, and appends each to the change log in the same transaction.
    ///
    /// - Parameter changes: At least one.
    /// - Returns: The number of the last change.
    /// - Throws: ``StoreError``.
    func apply(_ changes: [EntryChange]) async throws(StoreError) -> UInt64
}

/// One step in the history of entries.
package enum EntryChange: Hashable, Sendable {
    case put(Entry)
    case delete(id: String)
}
