internal import GRDB

extension Schema {
    /// The issuance record, and calls that wait for a second person.
    static func registerAccess(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("6 access and audit") { db in
            try db.execute(
                sql: """
                    -- Only ever added to at the end and cut off at the beginning.
                    CREATE TABLE issuances (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        time_ms INTEGER NOT NULL,
                        request_id TEXT NOT NULL,
                        caller_class TEXT NOT NULL,
                        principal TEXT NOT NULL,
                        address TEXT NOT NULL,
                        method TEXT NOT NULL,
                        outcome TEXT NOT NULL,
                        entry_id TEXT,
                        entry_revision INTEGER,
                        spiffe_id TEXT,
                        serial TEXT,
                        token_id TEXT,
                        audience TEXT NOT NULL,
                        expires_at INTEGER,
                        limited_by TEXT,
                        reason TEXT
                    ) STRICT;

                    CREATE INDEX issuances_by_spiffe_id ON issuances (spiffe_id, number);
                    CREATE INDEX issuances_by_time ON issuances (time_ms);

                    CREATE TABLE approvals (
                        id TEXT PRIMARY KEY,
                        method TEXT NOT NULL,
                        request_digest BLOB NOT NULL,
                        summary TEXT NOT NULL,
                        requester TEXT NOT NULL,
                        requested_at INTEGER NOT NULL,
                        expires_at INTEGER NOT NULL,
                        approver TEXT
                    ) WITHOUT ROWID, STRICT;
                    """)
        }
    }
}
