internal import GRDB
internal import SPIFFE

/// The tables, as forward-only steps.
///
/// A step that has shipped is never edited.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 entries, agents, authorities") { db in
            try db.execute(
                sql: """
                    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT;

                    -- One row for every change, in order and without gaps; its number is the revision.
                    CREATE TABLE changes (
                        revision INTEGER PRIMARY KEY AUTOINCREMENT,
                        kind TEXT NOT NULL,
                        subject TEXT NOT NULL
                    ) STRICT;

                    CREATE TABLE entries (
                        id TEXT PRIMARY KEY,
                        spiffe_id TEXT NOT NULL,
                        parent_id TEXT NOT NULL,
                        selectors TEXT NOT NULL,
                        x509_ttl INTEGER,
                        jwt_ttl INTEGER,
                        federates_with TEXT NOT NULL,
                        is_admin INTEGER NOT NULL,
                        is_downstream INTEGER NOT NULL,
                        expires_at INTEGER,
                        dns_names TEXT NOT NULL,
                        hint TEXT NOT NULL,
                        stores_svid INTEGER NOT NULL,
                        prefetches_x509 INTEGER NOT NULL,
                        includes_jti INTEGER NOT NULL,
                        revision INTEGER NOT NULL,
                        created_at INTEGER NOT NULL,
                        UNIQUE (spiffe_id, parent_id, selectors)
                    ) WITHOUT ROWID, STRICT;

                    CREATE TABLE agents (
                        id TEXT PRIMARY KEY,
                        attestation_type TEXT NOT NULL,
                        serial TEXT NOT NULL,
                        pending_serial TEXT,
                        expires_at INTEGER NOT NULL,
                        selectors TEXT NOT NULL,
                        is_banned INTEGER NOT NULL,
                        can_reattest INTEGER NOT NULL,
                        version TEXT NOT NULL
                    ) WITHOUT ROWID, STRICT;

                    CREATE TABLE join_tokens (
                        digest BLOB PRIMARY KEY,
                        expires_at INTEGER NOT NULL,
                        agent_id TEXT NOT NULL
                    ) WITHOUT ROWID, STRICT;

                    CREATE TABLE authorities (
                        id TEXT PRIMARY KEY,
                        kind TEXT NOT NULL,
                        state TEXT NOT NULL,
                        not_before INTEGER NOT NULL,
                        not_after INTEGER NOT NULL,
                        key_name TEXT NOT NULL UNIQUE,
                        public_der BLOB NOT NULL
                    ) WITHOUT ROWID, STRICT;

                    -- At most one authority of a kind signs, whatever goes wrong above.
                    CREATE UNIQUE INDEX one_active_authority ON authorities (kind) WHERE state = 'active';
                    """)
        }
        migrator.registerMigration("2 terms of entries") { db in
            try db.execute(
                sql: """
                    ALTER TABLE entries ADD COLUMN min_assurance INTEGER NOT NULL DEFAULT 3
                        CHECK (min_assurance BETWEEN 0 AND 3);
                    ALTER TABLE entries ADD COLUMN allows_jit INTEGER NOT NULL DEFAULT 0
                        CHECK (allows_jit IN (0, 1));
                    """)
            // Entries of earlier versions get what a new entry with their selectors would: said, not implied.
            let rows = try Row.fetchAll(db, sql: "SELECT id, selectors FROM entries")
            for row in rows {
                let columns = Columns(row, of: "entries")
                let terms = AssuranceDefaults().terms(for: try columns.list("selectors") { try Selector(parsing: $0) })
                try db.execute(
                    sql: "UPDATE entries SET min_assurance = ?, allows_jit = ? WHERE id = ?",
                    arguments: [terms.minimum.number, terms.allowsJIT, try columns.text("id")])
            }
        }
        registerAuthorities(&migrator)
        registerAgents(&migrator)
        addEntryDetails(to: &migrator)
        registerAccess(in: &migrator)
        registerFederation(&migrator)
        registerAudit(in: &migrator)
        registerAgentStatus(&migrator)
        registerPublishers(&migrator)
        registerLifetimes(&migrator)
        registerSegments(&migrator)
        return migrator
    }
}
