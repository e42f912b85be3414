internal import Foundation
internal import GRDB
package import IssuerDomain
internal import Platform
internal import SPIFFE

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
            try Self.refuseReturns(in: changes, db)
            // One kind may have one active authority: those that leave make room first.
            for change in changes { try Self.makeRoom(for: change, db) }
            for change in changes {
                switch change {
                case .put(let record):
                    try Self.put(record, db)
                    try ChangeLog.append("authority", record.id, db)
                case .delete(let kind, let id):
                    try db.execute(
                        sql: "DELETE FROM authorities WHERE kind = ? AND id = ?", arguments: [kind.rawValue, id])
                    try ChangeLog.append("authority", id, db)
                }
            }
            // A revocation must not be forgotten: a database from before it is noticed by this.
            for change in changes {
                guard case .put(let record) = change, record.state == .revoked else { continue }
                _ = try SecurityRevision.raise(db)
            }
            return try Self.sequence(db)
        }
    }

    /// Refuses to bring back what was revoked.
    private static func refuseReturns(in changes: [AuthorityChange], _ db: Database) throws {
        for case .put(let record) in changes where record.state != .revoked {
            let state = try String.fetchOne(
                db, sql: "SELECT state FROM authorities WHERE kind = ? AND id = ?",
                arguments: [record.kind.rawValue, record.id])
            if state == AuthorityRecord.State.revoked.rawValue {
                throw StoreError.failed(detail: "authority \(record.id) was revoked")
            }
        }
    }

    private static func makeRoom(for change: AuthorityChange, _ db: Database) throws {
        switch change {
        case .put(let record):
            guard record.state != .active else { return }
            try db.execute(
                sql: "UPDATE authorities SET state = ? WHERE kind = ? AND id = ?",
                arguments: [record.state.rawValue, record.kind.rawValue, record.id])
        case .delete(let kind, let id):
            try db.execute(sql: "DELETE FROM authorities WHERE kind = ? AND id = ?", arguments: [kind.rawValue, id])
        }
    }

    private static func put(_ record: AuthorityRecord, _ db: Database) throws {
        // No REPLACE: a second active authority must fail the transaction, not push out the first.
        let origin = OriginColumns(record.origin)
        try db.execute(
            sql: """
                INSERT INTO authorities (id, kind, state, origin, server_id, key_name, not_before, not_after,
                    public_der, chain, upstream_key_id, publisher)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (kind, id) DO UPDATE SET state = excluded.state, server_id = excluded.server_id
                """,
            arguments: [
                record.id, record.kind.rawValue, record.state.rawValue, origin.name, origin.serverID, origin.keyName,
                record.notBefore.unixSeconds, record.notAfter.unixSeconds, Data(record.publicDER),
                ListColumn.text(record.chain.map { Data($0).base64EncodedString() }), record.upstreamKeyID,
                record.publisher,
            ])
    }

    /// The revision of the last change to any authority: grows whenever the bundle does change (BUNDLE-04).
    private static func sequence(_ db: Database) throws -> UInt64 {
        UInt64(clamping: try Int64.fetchOne(db, sql: "SELECT max(revision) FROM changes WHERE kind = 'authority'") ?? 0)
    }

    private static func authority(in columns: Columns) throws(StoreError) -> AuthorityRecord {
        let record = AuthorityRecord(
            id: try columns.text("id"), kind: try columns.raw("kind"), state: try columns.raw("state"),
            origin: try OriginColumns(columns).origin, notBefore: try columns.date("not_before"),
            notAfter: try columns.date("not_after"), publicDER: try columns.bytes("public_der"),
            chain: try columns.list("chain") { text in
                guard let der = Data(base64Encoded: text) else { throw StoreError.corrupt(detail: "no base64") }
                return Array(der)
            }, upstreamKeyID: try columns.optionalText("upstream_key_id"),
            publisher: try columns.optionalText("publisher"))
        guard record.isSound else { throw .corrupt(detail: "authorities.state does not go with the origin") }
        return record
    }
}

/// How the origin of an authority is kept.
private struct OriginColumns {
    let name: String
    var serverID: String?
    var keyName: String?
    let origin: AuthorityRecord.Origin

    init(_ origin: AuthorityRecord.Origin) {
        self.origin = origin
        switch origin {
        case .server(let server, let keyName):
            name = "server"
            serverID = server?.description ?? ""
            self.keyName = keyName
        case .upstream: name = "upstream"
        case .downstream: name = "downstream"
        case .appended: name = "appended"
        }
    }

    init(_ columns: Columns) throws(StoreError) {
        let damaged = StoreError.corrupt(detail: "authorities.origin cannot be read back")
        switch try columns.text("origin") {
        case "server":
            let server = try columns.text("server_id")
            let id = ServerID(server)
            guard server.isEmpty || id != nil else { throw damaged }
            self.init(.server(id, keyName: try columns.text("key_name")))
        case "upstream": self.init(.upstream)
        case "downstream": self.init(.downstream)
        case "appended": self.init(.appended)
        default: throw damaged
        }
    }
}
