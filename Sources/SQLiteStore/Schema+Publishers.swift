internal import GRDB

extension Schema {
    /// Which server below published an authority.
    static func registerPublishers(_ migrator: inout DatabaseMigrator) {
        migrator.registerMigration("10 publishers of authorities") { db in
            try db.execute(sql: "ALTER TABLE authorities ADD COLUMN publisher TEXT")
        }
    }
}
