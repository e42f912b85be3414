internal import GRDB

extension Schema {
    /// What was asked, refusals that are counted, and ways to find a record.
    static func registerAudit(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration("8 audit summaries and indexes") { db in
            try db.execute(
                sql: """
                    ALTER TABLE issuances ADD COLUMN asked TEXT;
                    -- Both or neither: a record that stands for many refusals, and when the first of them was.
                    ALTER TABLE issuances ADD COLUMN repeats INTEGER;
                    ALTER TABLE issuances ADD COLUMN first_ms INTEGER;

                    CREATE INDEX issuances_by_principal ON issuances (principal, number);
                    CREATE INDEX issuances_by_serial ON issuances (serial) WHERE serial IS NOT NULL;
                    CREATE INDEX issuances_by_token_id ON issuances (token_id) WHERE token_id IS NOT NULL;
                    -- What was issued is most of the table; an index of it would help nobody.
                    CREATE INDEX issuances_denied ON issuances (number) WHERE outcome = 'denied';
                    """)
        }
    }
}
