internal import GRDB
internal import IssuerDomain

extension Schema {
    /// Node keys, what became of join tokens, and how often something was done that must not be forgotten.
    static func registerAgents(_ migrator: inout DatabaseMigrator) {
        migrator.registerMigration("4 agents") { db in
            try db.execute(
                sql: """
                    ALTER TABLE agents ADD COLUMN node_key BLOB;
                    ALTER TABLE join_tokens ADD COLUMN redeemed_at INTEGER;
                    ALTER TABLE join_tokens ADD COLUMN redeemed_key BLOB;
                    INSERT INTO meta (name, value) VALUES ('security_revision', '0');
                    """)
        }
    }
}

/// How often a token was used, an agent banned or forgotten; raised in the transaction that does it.
enum SecurityRevision {
    static func raise(_ db: Database) throws -> UInt64 {
        let next = try read(db) + 1
        try write(next, db)
        return next
    }

    static func read(_ db: Database) throws -> UInt64 {
        let text = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE name = 'security_revision'")
        guard let text, let revision = UInt64(text), revision < UInt64(Int64.max) else {
            throw StoreError.corrupt(detail: "meta.security_revision cannot be read back")
        }
        return revision
    }

    static func write(_ revision: UInt64, _ db: Database) throws {
        try db.execute(
            sql: "UPDATE meta SET value = ? WHERE name = 'security_revision'", arguments: ["\(revision)"])
    }
}
