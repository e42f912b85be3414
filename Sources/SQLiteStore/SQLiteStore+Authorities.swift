internal import Foundation
internal import GRDB
package import IssuerDomain
internal import Platform

extension SQLiteStore: AuthorityStore {
    package func loadAuthorities() async throws(StoreError) -> (authorities: [AuthorityRecord], sequence: UInt64) {
        try await read { db in
            let authorities = try Row.fetchAll(db, sql: "SELECT * FROM authorities").map { row in
                try Self.authority(in: Columns(row, of: "authorities"))
            }
            return (authorities, try Self.sequence(db))
        }
    }

    package func apply(_ changes: [AuthorityChange]) async throws(StoreError) -> UInt64 {
        try await write { db in
            // One kind may have one active authority: those that leave make room first.
            for change in changes { try Self.makeRoom(for: change, db) }
            for change in changes {
                switch change {
                case .put(let record):
                    try Self.put(record, db)
                    try ChangeLog.append("authority", record.id, db)
                case .delete(let id):
                    try db.execute(sql: "DELETE FROM authorities WHERE id = ?", arguments: [id])
                    try ChangeLog.append("authority", id, db)
                }
            }
            return try Self.sequence(db)
        }
    }

    private static func makeRoom(for change: AuthorityChange, _ db: Database) throws {
        guard case .put(let record) = change, record.state != .active else { return }
        try db.execute(
            sql: "UPDATE authorities SET state = ? WHERE id = ?", arguments: [record.state.rawValue, record.id])
    }

    private static func put(_ record: AuthorityRecord, _ db: Database) throws {
        // No REPLACE: a second active authority must fail the transaction, not push out the first.
        try db.execute(
            sql: """
                INSERT INTO authorities (id, kind, state, not_before, not_after, key_name, public_der)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET state = excluded.state
                """,
            arguments: [
                record.id, record.kind.rawValue, record.state.rawValue, record.notBefore.unixSeconds,
                record.notAfter.unixSeconds, record.keyName, Data(record.publicDER),
            ])
    }

    /// The revision of the last change to any authority: grows whenever the bundle does change (BUNDLE-04).
    private static func sequence(_ db: Database) throws -> UInt64 {
        UInt64(clamping: try Int64.fetchOne(db, sql: "SELECT max(revision) FROM changes WHERE kind = 'authority'") ?? 0)
    }

    private static func authority(in columns: Columns) throws(StoreError) -> AuthorityRecord {
        AuthorityRecord(
            id: try columns.text("id"), kind: try columns.raw("kind"), state: try columns.raw("state"),
            notBefore: try columns.date("not_before"), notAfter: try columns.date("not_after"),
            keyName: try columns.text("key_name"), publicDER: try columns.bytes("public_der"))
    }
}
