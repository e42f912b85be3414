package import Foundation
internal import GRDB
package import IssuerDomain
internal import Platform
internal import SPIFFE

extension SQLiteStore: IssuanceRecords {
    package func append(_ records: [IssuanceRecord], of segment: IssuanceSegment) async throws(StoreError) {
        // One caller's patience must not decide about the records of the others in the batch.
        try await writeToTheEnd { db in
            guard try Self.lastSegment(of: segment.server, db) < segment.number else { return }
            try db.cachedStatement(
                sql: """
                    INSERT INTO issuance_segments (server, number) VALUES (?, ?)
                    ON CONFLICT (server) DO UPDATE SET number = excluded.number
                    """
            ).execute(arguments: [segment.server, Int64(clamping: segment.number)])
            let statement = try db.cachedStatement(
                sql: """
                    INSERT INTO issuances (time_ms, request_id, caller_class, principal, address, method, outcome,
                        entry_id, entry_revision, spiffe_id, serial, token_id, audience, expires_at, limited_by, reason,
                        asked, repeats, first_ms, asked_seconds, granted_seconds)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """)
            for record in records {
                let (call, fact) = (record.call, record.fact)
                try statement.execute(arguments: [
                    call.time.unixMilliseconds, call.requestID, call.callerClass.rawValue, call.principal,
                    call.address, call.method, fact.outcome.rawValue, fact.entryID, fact.entryRevision,
                    fact.spiffeID.map { "\($0)" }, fact.serial, fact.tokenID, ListColumn.text(fact.audience),
                    fact.expiresAt?.unixSeconds, fact.limit?.rawValue, fact.reason,
                    fact.asked, fact.repetition?.count, fact.repetition?.first.unixMilliseconds,
                    fact.lifetime?.asked, fact.lifetime?.granted,
                ])
            }
        }
    }

    package func lastSegment(of server: String) async throws(StoreError) -> UInt64 {
        try await read { try Self.lastSegment(of: server, $0) }
    }

    private static func lastSegment(of server: String, _ db: Database) throws -> UInt64 {
        let statement = try db.cachedStatement(sql: "SELECT number FROM issuance_segments WHERE server = ?")
        return UInt64(clamping: try Int64.fetchOne(statement, arguments: [server]) ?? 0)
    }

    package func issuances(_ query: IssuanceQuery) async throws(StoreError) -> [IssuanceRecord] {
        var conditions: [String] = []
        var arguments = StatementArguments()
        func narrow(_ condition: String, _ values: (any DatabaseValueConvertible)...) {
            conditions.append(condition)
            arguments += StatementArguments(values)
        }
        if let since = query.since { narrow("time_ms >= ?", since.unixMilliseconds) }
        if let until = query.until { narrow("time_ms < ?", until.unixMilliseconds) }
        if let spiffeID = query.spiffeID { narrow("spiffe_id = ?", spiffeID) }
        if let principal = query.principal { narrow("principal = ?", principal) }
        // Written out, so that the index of what was denied is found.
        if let outcome = query.outcome { narrow("outcome = '\(outcome.rawValue)'") }
        if let credential = query.credential { narrow("(serial = ? OR token_id = ?)", credential, credential) }
        if let before = query.before { narrow("number < ?", before) }
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        arguments += StatementArguments([query.limit])
        return try await read { [arguments] db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM issuances \(filter) ORDER BY number DESC LIMIT ?", arguments: arguments
            ).map { try Self.issuance(in: Columns($0, of: "issuances")) }
        }
    }

    package func dropIssuances(before instant: Date, limit: Int) async throws(StoreError) -> Int {
        try await write { db in
            // Only from the old end, also when a clock was set back in between: what is kept has no holes.
            try db.execute(
                sql: """
                    DELETE FROM issuances WHERE number IN (
                        SELECT number FROM issuances
                        WHERE number < coalesce(
                            (SELECT min(number) FROM issuances WHERE time_ms >= ?), 9223372036854775807)
                        ORDER BY number LIMIT ?)
                    """, arguments: [instant.unixMilliseconds, limit])
            return db.changesCount
        }
    }

    private static func issuance(in columns: Columns) throws(StoreError) -> IssuanceRecord {
        let call = IssuanceRecord.Call(
            time: Date(unixMilliseconds: try columns.integer("time_ms")),
            requestID: try columns.text("request_id"), callerClass: try columns.raw("caller_class"),
            principal: try columns.text("principal"), address: try columns.text("address"),
            method: try columns.text("method"))
        var fact: IssuanceFact
        switch try columns.raw("outcome") as IssuanceRecord.Outcome {
        case .issued: fact = .issued()
        case .denied: fact = .denied(try columns.optionalText("reason") ?? "")
        }
        fact.entryID = try columns.optionalText("entry_id")
        fact.entryRevision = try columns.optionalInteger("entry_revision")
        fact.spiffeID = try columns.optionalText("spiffe_id") == nil ? nil : try columns.spiffeID("spiffe_id")
        fact.serial = try columns.optionalText("serial")
        fact.tokenID = try columns.optionalText("token_id")
        fact.audience = try columns.list("audience") { $0 }
        fact.expiresAt = try columns.optionalDate("expires_at")
        fact.limit = try columns.optionalText("limited_by") == nil ? nil : try columns.raw("limited_by")
        fact.asked = try columns.optionalText("asked")
        if let count = try columns.optionalInteger("repeats"), let first = try columns.optionalInteger("first_ms") {
            fact.repetition = .init(count: count, first: Date(unixMilliseconds: first))
        }
        if let asked = try columns.optionalInteger("asked_seconds"),
            let granted = try columns.optionalInteger("granted_seconds")
        {
            fact.lifetime = GrantedLifetime(asked: asked, granted: granted)
        }
        return IssuanceRecord(number: try columns.integer("number"), call: call, fact: fact)
    }
}
