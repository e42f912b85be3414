internal import GRDB

extension Schema {
    /// How far each server's records of issuance were taken.
    static func registerSegments(_ migrator: inout DatabaseMigrator) {
        migrator.registerMigration("12 segments of issuance records") { db in
            try db.execute(
                sql: """
                    CREATE TABLE issuance_segments (
                        server TEXT PRIMARY KEY,
                        number INTEGER NOT NULL
                    ) WITHOUT ROWID, STRICT;
                    """)
        }
    }
}
