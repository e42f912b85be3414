package import Foundation

/// The durable record of issuance: only ever added to, and cut off at the old end.
///
/// Each server's segments arrive one at a time and in order, so that what is kept can be chained.
package protocol IssuanceRecords: Sendable {
    /// Adds the records of a segment, all or none; durable on return.
    ///
    /// A segment whose number is not greater than the last of that server is dropped: it was taken before.
    ///
    /// - Parameters:
    ///   - records: In order; their numbers count for nothing.
    ///   - segment: What they are the whole of.
    /// - Throws: ``StoreError``.
    func append(_ records: [IssuanceRecord], of segment: IssuanceSegment) async throws(StoreError)

    /// The number of the last segment taken from a server; 0 when there is none.
    ///
    /// - Throws: ``StoreError``.
    func lastSegment(of server: String) async throws(StoreError) -> UInt64

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
