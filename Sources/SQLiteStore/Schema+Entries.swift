internal import GRDB

extension Schema {
    /// What entries say beyond the public API, and digest sets.
    static func addEntryDetails(to migrator: inout DatabaseMigrator) {
        migrator.registerMigration("5 details of entries") { db in
            try db.execute(
                sql: """
                    ALTER TABLE entries ADD COLUMN description TEXT NOT NULL DEFAULT '';
                    ALTER TABLE entries ADD COLUMN owner TEXT NOT NULL DEFAULT '';
                    ALTER TABLE entries ADD COLUMN purpose TEXT NOT NULL DEFAULT '';
                    ALTER TABLE entries ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
                    ALTER TABLE entries ADD COLUMN class TEXT CHECK (class IN ('agent', 'tool', 'service'));
                    ALTER TABLE entries ADD COLUMN not_before INTEGER;
                    ALTER TABLE entries ADD COLUMN is_disabled INTEGER NOT NULL DEFAULT 0
                        CHECK (is_disabled IN (0, 1));
                    ALTER TABLE entries ADD COLUMN audiences TEXT NOT NULL DEFAULT '[]';
                    ALTER TABLE entries ADD COLUMN key_type TEXT
                        CHECK (key_type IN ('ec-p256', 'ec-p384', 'rsa-2048'));
                    ALTER TABLE entries ADD COLUMN has_instance_keys INTEGER NOT NULL DEFAULT 0
                        CHECK (has_instance_keys IN (0, 1));
                    ALTER TABLE entries ADD COLUMN id_template TEXT;
                    -- A list of lists of selectors, and two lists.
                    ALTER TABLE entries ADD COLUMN any_of TEXT NOT NULL DEFAULT '[]';
                    ALTER TABLE entries ADD COLUMN none_of TEXT NOT NULL DEFAULT '[]';
                    ALTER TABLE entries ADD COLUMN digest_sets TEXT NOT NULL DEFAULT '[]';

                    CREATE TABLE digest_sets (
                        name TEXT PRIMARY KEY,
                        keeps INTEGER NOT NULL CHECK (keeps >= 0),
                        grace INTEGER NOT NULL CHECK (grace >= 0)
                    ) WITHOUT ROWID, STRICT;

                    CREATE TABLE digest_set_versions (
                        name TEXT NOT NULL REFERENCES digest_sets (name) ON DELETE CASCADE,
                        number INTEGER NOT NULL,
                        digests TEXT NOT NULL,
                        created_at INTEGER NOT NULL,
                        PRIMARY KEY (name, number)
                    ) WITHOUT ROWID, STRICT;
                    """)
        }
    }
}
