internal import GRDB

extension Schema {
    /// What agents say of themselves, and when they were last heard of.
    static func registerAgentStatus(_ migrator: inout DatabaseMigrator) {
        migrator.registerMigration("9 status of agents") { db in
            try db.execute(
                sql: """
                    -- Unsigned, as the same 64 bits.
                    ALTER TABLE agents ADD COLUMN bundle_serial INTEGER;
                    ALTER TABLE agents ADD COLUMN last_seen INTEGER;
                    """)
        }
    }
}
