/// Where records of issuance wait for the store, in segments that are numbered in order.
///
/// What is appended outlives the process; whether it outlives the machine is the store's to say, a moment later. So an
/// answer waits neither for a disk nor for a database.
package protocol IssuanceSpool: Sendable {
    /// Adds records, all or none; they outlive the process on return.
    ///
    /// - Throws: ``StoreError``.
    func append(_ records: [IssuanceRecord]) throws(StoreError)

    /// Ends the segment that is being written.
    ///
    /// - Returns: The numbers of all segments that have ended, oldest first.
    /// - Throws: ``StoreError``.
    func seal() throws(StoreError) -> [UInt64]

    /// Reads a segment that has ended.
    ///
    /// - Returns: Its records, in order; of a segment that is damaged, those before the damage.
    /// - Throws: ``StoreError``.
    func records(in segment: UInt64) throws(StoreError) -> [IssuanceRecord]

    /// Forgets a segment whose records the store has.
    ///
    /// - Throws: ``StoreError``.
    func remove(_ segment: UInt64) throws(StoreError)

    /// Makes what has ended outlive the machine, because the store does not take it.
    ///
    /// - Throws: ``StoreError``.
    func flush() throws(StoreError)
}

/// Part of what one server wrote down, which the store takes once, however often it is offered.
package struct IssuanceSegment: Hashable, Sendable {
    /// Whose: servers that share a store number their segments apart.
    package let server: String
    /// Greater than that of every segment before it.
    package let number: UInt64

    package init(server: String, number: UInt64) { (self.server, self.number) = (server, number) }
}
