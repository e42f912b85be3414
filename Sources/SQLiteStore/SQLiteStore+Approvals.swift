package import Foundation
internal import GRDB
package import IssuerDomain
internal import Platform

extension SQLiteStore: ApprovalStore {
    package func approvals(now: Date) async throws(StoreError) -> [PendingApproval] {
        try await read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM approvals WHERE expires_at > ?", arguments: [now.unixSeconds]
            ).map { row in
                let columns = Columns(row, of: "approvals")
                return PendingApproval(
                    id: try columns.text("id"), method: try columns.text("method"),
                    requestDigest: try columns.bytes("request_digest"), summary: try columns.text("summary"),
                    requester: try columns.text("requester"), requestedAt: try columns.date("requested_at"),
                    expiresAt: try columns.date("expires_at"), approver: try columns.optionalText("approver"))
            }
        }
    }

    package func put(_ approval: PendingApproval) async throws(StoreError) {
        try await write { db in
            try db.execute(
                sql: """
                    INSERT INTO approvals (id, method, request_digest, summary, requester, requested_at, expires_at,
                        approver)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (id) DO UPDATE SET approver = excluded.approver
                    """,
                arguments: [
                    approval.id, approval.method, Data(approval.requestDigest), approval.summary, approval.requester,
                    approval.requestedAt.unixSeconds, approval.expiresAt.unixSeconds, approval.approver,
                ])
        }
    }

    package func takeApproval(_ id: String) async throws(StoreError) -> Bool {
        try await write { db in
            try db.execute(sql: "DELETE FROM approvals WHERE id = ?", arguments: [id])
            return db.changesCount == 1
        }
    }

    package func dropApprovals(endedBefore instant: Date) async throws(StoreError) {
        try await write { db in
            try db.execute(sql: "DELETE FROM approvals WHERE expires_at <= ?", arguments: [instant.unixSeconds])
        }
    }
}
