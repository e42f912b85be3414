internal import Foundation
internal import GRDB
package import IssuerDomain
internal import Platform
internal import SPIFFE

extension SQLiteStore: EntryStore {
    package func loadEntries() async throws(StoreError) -> (entries: [Entry], revision: UInt64) {
        try await read { db in
            var entries: [Entry] = []
            let rows = try Row.fetchCursor(db, sql: "SELECT * FROM entries")
            while let row = try rows.next() { entries.append(try Self.entry(in: Columns(row, of: "entries"))) }
            return (entries, try ChangeLog.revision(db))
        }
    }

    package func apply(_ changes: [EntryChange]) async throws(StoreError) -> UInt64 {
        try await write { db in
            // Whatever changes leaves first, so that entries of one batch can trade their keys.
            if changes.count > 1 { for change in changes { try Self.makeRoom(for: change, db) } }
            for change in changes { try Self.make(change, db) }
            return try ChangeLog.revision(db)
        }
    }

    static func make(_ change: EntryChange, _ db: Database) throws {
        switch change {
        case .put(let entry):
            try put(entry, db)
            try ChangeLog.append("entry", entry.id, db)
        case .delete(let id):
            try deleteEntry(id, db)
            try ChangeLog.append("entry", id, db)
        case .putDigestSet(let set):
            try put(set, db)
            try ChangeLog.append("digest_set", set.name, db)
        case .deleteDigestSet(let name):
            try deleteDigestSet(name, db)
            try ChangeLog.append("digest_set", name, db)
        }
    }

    private static func makeRoom(for change: EntryChange, _ db: Database) throws {
        switch change {
        case .put(let entry): try deleteEntry(entry.id, db)
        case .delete(let id): try deleteEntry(id, db)
        case .putDigestSet, .deleteDigestSet: break
        }
    }

    private static func deleteEntry(_ id: String, _ db: Database) throws {
        try db.cachedStatement(sql: "DELETE FROM entries WHERE id = ?").execute(arguments: [id])
    }

    private static func put(_ entry: Entry, _ db: Database) throws {
        let contents = entry.contents
        let details = contents.details
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO entries (id, spiffe_id, parent_id, selectors, x509_ttl, jwt_ttl, federates_with,
                    is_admin, is_downstream, expires_at, dns_names, hint, stores_svid, prefetches_x509, includes_jti,
                    min_assurance, allows_jit, revision, created_at, description, owner, purpose, labels, class,
                    not_before, is_disabled, audiences, key_type, has_instance_keys, id_template, any_of, none_of,
                    digest_sets)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
                    ?, ?)
                ON CONFLICT (id) DO UPDATE SET spiffe_id = excluded.spiffe_id, parent_id = excluded.parent_id,
                    selectors = excluded.selectors, x509_ttl = excluded.x509_ttl, jwt_ttl = excluded.jwt_ttl,
                    federates_with = excluded.federates_with, is_admin = excluded.is_admin,
                    is_downstream = excluded.is_downstream, expires_at = excluded.expires_at,
                    dns_names = excluded.dns_names, hint = excluded.hint, stores_svid = excluded.stores_svid,
                    prefetches_x509 = excluded.prefetches_x509, includes_jti = excluded.includes_jti,
                    min_assurance = excluded.min_assurance, allows_jit = excluded.allows_jit,
                    revision = excluded.revision, description = excluded.description, owner = excluded.owner,
                    purpose = excluded.purpose, labels = excluded.labels, class = excluded.class,
                    not_before = excluded.not_before, is_disabled = excluded.is_disabled,
                    audiences = excluded.audiences, key_type = excluded.key_type,
                    has_instance_keys = excluded.has_instance_keys, id_template = excluded.id_template,
                    any_of = excluded.any_of, none_of = excluded.none_of, digest_sets = excluded.digest_sets
                """)
        try statement.execute(arguments: [
            entry.id, "\(contents.spiffeID)", "\(contents.parentID)", ListColumn.text(contents.selectors),
            contents.x509TTL?.wholeSeconds, contents.jwtTTL?.wholeSeconds, ListColumn.text(contents.federatesWith),
            contents.isAdmin, contents.isDownstream, contents.expiresAt.map { $0.unixSeconds },
            ListColumn.text(contents.dnsNames), contents.hint, contents.storesSVID, contents.prefetchesX509,
            contents.includesJTI, contents.terms.minimum.number, contents.terms.allowsJIT, entry.revision,
            entry.createdAt.unixSeconds, details.description, details.owner, details.purpose, details.labelsColumn,
            details.entryClass?.rawValue, details.notBefore.map { $0.unixSeconds }, details.isDisabled,
            ListColumn.text(details.audiences), details.keyType?.rawValue, details.hasInstanceKeys,
            details.template?.description, details.anyOfColumn, ListColumn.text(details.rules.noneOf),
            ListColumn.text(details.rules.digestSets),
        ])
    }

    private static func entry(in columns: Columns) throws(StoreError) -> Entry {
        var contents = EntryContents(
            spiffeID: try columns.spiffeID("spiffe_id"), parentID: try columns.spiffeID("parent_id"),
            selectors: try columns.list("selectors") { try Selector(parsing: $0) })
        contents.x509TTL = try columns.optionalDuration("x509_ttl")
        contents.jwtTTL = try columns.optionalDuration("jwt_ttl")
        contents.federatesWith = try columns.list("federates_with") { try TrustDomain($0) }
        contents.isAdmin = try columns.flag("is_admin")
        contents.isDownstream = try columns.flag("is_downstream")
        contents.expiresAt = try columns.optionalDate("expires_at")
        contents.dnsNames = try columns.list("dns_names") { $0 }
        contents.hint = try columns.text("hint")
        contents.storesSVID = try columns.flag("stores_svid")
        contents.prefetchesX509 = try columns.flag("prefetches_x509")
        contents.includesJTI = try columns.flag("includes_jti")
        contents.terms = AssuranceTerms(
            minimum: try columns.assurance("min_assurance"), allowsJIT: try columns.flag("allows_jit"))
        contents.details = try columns.details()
        return Entry(
            id: try columns.text("id"), contents: contents, revision: try columns.integer("revision"),
            createdAt: try columns.date("created_at"))
    }
}

/// The ordered log that is written with every change, in the same transaction.
enum ChangeLog {
    static func append(_ kind: String, _ subject: String, _ db: Database) throws {
        try db.cachedStatement(sql: "INSERT INTO changes (kind, subject) VALUES (?, ?)")
            .execute(arguments: [kind, subject])
    }

    static func revision(_ db: Database) throws -> UInt64 {
        UInt64(clamping: try Int64.fetchOne(db, sql: "SELECT max(revision) FROM changes") ?? 0)
    }
}
