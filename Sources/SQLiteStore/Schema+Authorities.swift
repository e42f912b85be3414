internal import GRDB

extension Schema {
    /// Authorities of several servers and of others in one table.
    static func registerAuthorities(_ migrator: inout DatabaseMigrator) {
        migrator.registerMigration("3 authorities of several servers") { db in
            try db.execute(
                sql: """
                    DROP INDEX one_active_authority;
                    ALTER TABLE authorities RENAME TO earlier_authorities;

                    CREATE TABLE authorities (
                        id TEXT NOT NULL,
                        kind TEXT NOT NULL,
                        state TEXT NOT NULL,
                        origin TEXT NOT NULL,
                        -- Empty for what was written before servers had IDs; NULL for what no server signs with.
                        server_id TEXT,
                        key_name TEXT UNIQUE,
                        not_before INTEGER NOT NULL,
                        not_after INTEGER NOT NULL,
                        public_der BLOB NOT NULL,
                        chain TEXT NOT NULL,
                        upstream_key_id TEXT,
                        PRIMARY KEY (kind, id),
                        CHECK ((origin = 'server') = (server_id IS NOT NULL)),
                        CHECK ((origin = 'server') = (key_name IS NOT NULL))
                    ) WITHOUT ROWID, STRICT;

                    INSERT INTO authorities (id, kind, state, origin, server_id, key_name, not_before, not_after,
                            public_der, chain)
                        SELECT id, kind, state, 'server', '', key_name, not_before, not_after, public_der, '[]'
                        FROM earlier_authorities;
                    DROP TABLE earlier_authorities;

                    -- At most one authority of a kind signs for a server, whatever goes wrong above.
                    CREATE UNIQUE INDEX one_active_authority ON authorities (kind, server_id) WHERE state = 'active';
                    """)
        }
    }
}
