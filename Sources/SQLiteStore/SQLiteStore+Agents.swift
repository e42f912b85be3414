package import Foundation
internal import GRDB
package import IssuerDomain
internal import Platform
package import SPIFFE

extension SQLiteStore: AgentStore {
    package func loadAgents() async throws(StoreError) -> [AttestedAgent] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM agents").map { row in
                try Self.agent(in: Columns(row, of: "agents"))
            }
        }
    }

    package func put(_ agent: AttestedAgent) async throws(StoreError) {
        try await write { db in try Self.put(agent, db) }
    }

    package func ban(_ agent: AttestedAgent) async throws(StoreError) -> UInt64 {
        try await write { db in
            try Self.put(agent, db)
            return try SecurityRevision.raise(db)
        }
    }

    package func deleteAgent(_ id: SPIFFEID) async throws(StoreError) -> UInt64? {
        try await write { db in
            try db.execute(sql: "DELETE FROM agents WHERE id = ?", arguments: ["\(id)"])
            guard db.changesCount == 1 else { return nil }
            return try SecurityRevision.raise(db)
        }
    }

    package func noteContacts(_ contacts: [(id: SPIFFEID, instant: Date)]) async throws(StoreError) {
        try await write { db in
            for (id, instant) in contacts {
                try db.execute(
                    sql: "UPDATE agents SET last_seen = ? WHERE id = ?", arguments: [instant.unixSeconds, "\(id)"])
            }
        }
    }

    package func abandoned(_ ids: Set<SPIFFEID>) async throws(StoreError) -> Set<SPIFFEID> {
        try await read { db in
            try ids.filter { id in
                try Int.fetchOne(
                    db,
                    sql: """
                        SELECT 1 FROM agents WHERE id = ?1
                        UNION ALL SELECT 1 FROM join_tokens WHERE agent_id = ?1 AND redeemed_at IS NULL LIMIT 1
                        """,
                    arguments: ["\(id)"]) == nil
            }
        }
    }

    package func isUnused() async throws(StoreError) -> Bool {
        try await read { db in
            try Int.fetchOne(
                db, sql: "SELECT 1 FROM agents UNION ALL SELECT 1 FROM join_tokens LIMIT 1") == nil
        }
    }

    package func put(_ token: JoinTokenRecord) async throws(StoreError) -> Bool {
        try await write { db in
            try db.execute(
                sql: """
                    INSERT INTO join_tokens (digest, expires_at, agent_id) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING
                    """,
                arguments: [
                    Data(token.digest), token.expiresAt.unixSeconds, "\(token.agentID)",
                ])
            return db.changesCount == 1
        }
    }

    package func joinToken(digest: [UInt8]) async throws(StoreError) -> JoinTokenRecord? {
        try await read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM join_tokens WHERE digest = ?", arguments: [Data(digest)])
                .map { row in
                    let columns = Columns(row, of: "join_tokens")
                    var record = JoinTokenRecord(
                        digest: try columns.bytes("digest"), expiresAt: try columns.date("expires_at"),
                        agentID: try columns.spiffeID("agent_id"))
                    if let at = try columns.optionalDate("redeemed_at") {
                        record.redemption = JoinTokenRedemption(
                            keyDigest: try columns.optionalBytes("redeemed_key") ?? [], at: at)
                    }
                    return record
                }
        }
    }

    package func redeem(
        tokenDigest: [UInt8], as redemption: JoinTokenRedemption, for agent: AttestedAgent
    ) async throws(StoreError) -> UInt64? {
        try await write { db in
            try db.execute(
                sql: """
                    UPDATE join_tokens SET redeemed_at = ?, redeemed_key = ? WHERE digest = ? AND redeemed_at IS NULL
                    """,
                arguments: [redemption.at.unixSeconds, Data(redemption.keyDigest), Data(tokenDigest)])
            // Of two who race for one token, the second finds none that is unused.
            guard db.changesCount == 1 else { return nil }
            try Self.put(agent, db)
            return try SecurityRevision.raise(db)
        }
    }

    package func pruneTokens(
        expiredBefore instant: Date, redeemedBefore redeemed: Date
    ) async throws(StoreError) {
        try await write { db in
            try db.execute(
                sql: """
                    DELETE FROM join_tokens WHERE expires_at < ? AND (redeemed_at IS NULL OR redeemed_at < ?)
                    """,
                arguments: [instant.unixSeconds, redeemed.unixSeconds])
        }
    }

    package func securityRevision() async throws(StoreError) -> UInt64 {
        try await read { db in try SecurityRevision.read(db) }
    }

    package func acceptRollback(to revision: UInt64) async throws(StoreError) -> Int {
        try await write { db in
            try db.execute(sql: "DELETE FROM join_tokens")
            let dropped = db.changesCount
            try SecurityRevision.write(max(revision, try SecurityRevision.read(db)), db)
            return dropped
        }
    }

    private static func put(_ agent: AttestedAgent, _ db: Database) throws {
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO agents (id, attestation_type, serial, pending_serial, expires_at, selectors,
                    is_banned, can_reattest, version, node_key, bundle_serial, last_seen)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                "\(agent.id)", agent.attestationType, agent.serial, agent.pendingSerial,
                agent.expiresAt.unixSeconds, ListColumn.text(agent.selectors), agent.isBanned,
                agent.canReattest, agent.version, agent.nodeKey.map { Data($0) },
                agent.bundleSerial.map { Int64(bitPattern: $0) }, agent.lastSeen?.unixSeconds,
            ])
    }

    private static func agent(in columns: Columns) throws(StoreError) -> AttestedAgent {
        var agent = AttestedAgent(
            id: try columns.spiffeID("id"), attestationType: try columns.text("attestation_type"),
            serial: try columns.text("serial"), expiresAt: try columns.date("expires_at"),
            selectors: try columns.list("selectors") { try Selector(parsing: $0) },
            canReattest: try columns.flag("can_reattest"))
        agent.pendingSerial = try columns.optionalText("pending_serial")
        agent.isBanned = try columns.flag("is_banned")
        agent.version = try columns.text("version")
        agent.nodeKey = try columns.optionalBytes("node_key")
        agent.bundleSerial = try columns.optionalInteger("bundle_serial").map { UInt64(bitPattern: $0) }
        agent.lastSeen = try columns.optionalDate("last_seen")
        return agent
    }
}
