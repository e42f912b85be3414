package import Foundation

/// Durable approvals that are waited for.
package protocol ApprovalStore: Sendable {
    /// Reads those that have not ended.
    ///
    /// - Throws: ``StoreError``.
    func approvals(now: Date) async throws(StoreError) -> [PendingApproval]

    /// Writes one, new or known.
    ///
    /// - Throws: ``StoreError``.
    func put(_ approval: PendingApproval) async throws(StoreError)

    /// Uses one up.
    ///
    /// - Returns: Whether it was still there.
    /// - Throws: ``StoreError``.
    func takeApproval(_ id: String) async throws(StoreError) -> Bool

    /// Drops those that ended before an instant.
    ///
    /// - Throws: ``StoreError``.
    func dropApprovals(endedBefore instant: Date) async throws(StoreError)
}
