package import Foundation
package import IssuerDomain
internal import Synchronization

/// Records and approvals in memory.
final class MemoryLedger: Sendable {
    let segments = Mutex<[String: UInt64]>([:])
    let issuances = Mutex<(next: Int64, kept: [IssuanceRecord])>((1, []))
    let approvals = Mutex<[String: PendingApproval]>([:])
}

extension MemoryStore: IssuanceRecords {
    package func lastSegment(of server: String) async throws(StoreError) -> UInt64 {
        ledger.segments.withLock { $0[server] ?? 0 }
    }

    package func append(_ records: [IssuanceRecord], of segment: IssuanceSegment) async throws(StoreError) {
        await gate.pass()
        if let failure { throw failure }
        let isNew = ledger.segments.withLock { segments in
            guard segments[segment.server] ?? 0 < segment.number else { return false }
            segments[segment.server] = segment.number
            return true
        }
        guard isNew else { return }
        ledger.issuances.withLock { issuances in
            for record in records {
                issuances.kept.append(IssuanceRecord(number: issuances.next, call: record.call, fact: record.fact))
                issuances.next += 1
            }
        }
    }

    package func issuances(_ query: IssuanceQuery) async throws(StoreError) -> [IssuanceRecord] {
        ledger.issuances.withLock { issuances in
            let found = issuances.kept.reversed().filter { record in
                query.before.map { record.number < $0 } ?? true && query.admits(record)
            }
            return Array(found.prefix(query.limit))
        }
    }

    package func dropIssuances(before instant: Date, limit: Int) async throws(StoreError) -> Int {
        ledger.issuances.withLock { issuances in
            let count = min(limit, issuances.kept.prefix { $0.call.time < instant }.count)
            issuances.kept.removeFirst(count)
            return count
        }
    }
}

extension MemoryStore: ApprovalStore {
    package func approvals(now: Date) async throws(StoreError) -> [PendingApproval] {
        ledger.approvals.withLock { $0.values.filter { $0.expiresAt > now } }
    }

    package func put(_ approval: PendingApproval) async throws(StoreError) {
        if let failure { throw failure }
        ledger.approvals.withLock { $0[approval.id] = approval }
    }

    package func takeApproval(_ id: String) async throws(StoreError) -> Bool {
        ledger.approvals.withLock { $0.removeValue(forKey: id) != nil }
    }

    package func dropApprovals(endedBefore instant: Date) async throws(StoreError) {
        ledger.approvals.withLock { approvals in approvals = approvals.filter { $0.value.expiresAt > instant } }
    }
}
