internal import GRDB

extension Schema {
    static func registerFederation(_ migrator: inout DatabaseMigrator) {
        migrator.registerMigration("7 federation") { db in
            try db.execute(
                sql: """
                    -- Counters are 64 bits without a sign, which SQLite has no type for.
                    CREATE TABLE federated_bundles (
                        trust_domain TEXT PRIMARY KEY,
                        x509_authorities BLOB NOT NULL,
                        sequence TEXT,
                        refresh_hint TEXT
                    ) WITHOUT ROWID, STRICT;

                    CREATE TABLE federated_jwt_authorities (
                        trust_domain TEXT NOT NULL REFERENCES federated_bundles (trust_domain) ON DELETE CASCADE,
                        key_id TEXT NOT NULL,
                        public_key BLOB NOT NULL,
                        expires_at INTEGER,
                        PRIMARY KEY (trust_domain, key_id)
                    ) WITHOUT ROWID, STRICT;

                    CREATE TABLE federation_relationships (
                        trust_domain TEXT PRIMARY KEY,
                        bundle_endpoint_url TEXT NOT NULL,
                        -- NULL where the endpoint is known by its host name.
                        endpoint_spiffe_id TEXT
                    ) WITHOUT ROWID, STRICT;
                    """)
        }
    }
}
