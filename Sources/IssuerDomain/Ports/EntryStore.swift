/// Durable entries and the ordered log of their changes.
package protocol EntryStore: Sendable {
    /// Reads everything, as of one instant.
    ///
    /// - Throws: ``StoreError``.
    func loadEntries() async throws(StoreError) -> (entries: [Entry], revision: UInt64)

    /// Reads every digest set.
    ///
    /// - Throws: ``StoreError``.
    func loadDigestSets() async throws(StoreError) -> [DigestSet]

    /// Makes changes durable, all or none, and appends each to the change log in the same transaction.
    ///
    /// Only what all of them come to has to keep keys unique, so that entries can trade them.
    ///
    /// - Parameter changes: At least one.
    /// - Returns: The number of the last change.
    /// - Throws: ``StoreError``.
    func apply(_ changes: [EntryChange]) async throws(StoreError) -> UInt64

    /// Says beforehand why one change would be refused, so that the others of a batch can go on without it.
    ///
    /// - Returns: What ``apply(_:)`` would throw because of whoever asks; nil when nothing stands in the way.
    func objection(to change: EntryChange) -> StoreError?
}

extension EntryStore {
    package func objection(to change: EntryChange) -> StoreError? { nil }
}

/// One step in the history of entries.
package enum EntryChange: Hashable, Sendable {
    case put(Entry)
    case delete(id: String)
    case putDigestSet(DigestSet)
    case deleteDigestSet(name: String)
}
