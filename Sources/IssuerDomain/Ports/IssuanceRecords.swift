package import Foundation

/// The durable record of issuance: only ever added to, and cut off at the old end.
///
/// Batches arrive one at a time and in order, so that what is kept can be chained.
package protocol IssuanceRecords: Sendable {
    /// Adds records, all or none; durable on return.
    ///
    /// - Parameter records: In order; their numbers count for nothing.
    /// - Throws: ``StoreError``.
    func append(_ records: [IssuanceRecord]) async throws(StoreError)

    /// Reads records, newest first.
    ///
    /// - Throws: ``StoreError``.
    func issuances(_ query: IssuanceQuery) async throws(StoreError) -> [IssuanceRecord]

    /// Drops the oldest records.
    ///
    /// - Parameters:
    ///   - instant: Those from before it.
    ///   - limit: At most so many at once, to hold up nobody for long.
    /// - Returns: How many were dropped.
    /// - Throws: ``StoreError``.
    func dropIssuances(before instant: Date, limit: Int) async throws(StoreError) -> Int
}
