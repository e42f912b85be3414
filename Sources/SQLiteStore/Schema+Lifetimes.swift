internal import GRDB

extension Schema {
    /// How long a credential was to live, and how long it does.
    static func registerLifetimes(_ migrator: inout DatabaseMigrator) {
        migrator.registerMigration("11 lifetimes asked and granted") { db in
            try db.execute(
                sql: """
                    -- In whole seconds; both or neither.
                    ALTER TABLE issuances ADD COLUMN asked_seconds INTEGER;
                    ALTER TABLE issuances ADD COLUMN granted_seconds INTEGER;
                    """)
        }
    }
}
