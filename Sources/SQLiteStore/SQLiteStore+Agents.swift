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

    package func deleteAgent(_ id: SPIFFEID) async throws(StoreError) -> Bool {
        try await write { db in
            try db.execute(sql: "DELETE FROM agents WHERE id = ?", arguments: ["\(id)"])
            return db.changesCount == 1
        }
    }

    package func put(_ token: JoinTokenRecord) async throws(StoreError) {
        try await write { db in
            try db.execute(
                sql: "INSERT INTO join_tokens (digest, expires_at, agent_id) VALUES (?, ?, ?)",
                arguments: [
                    Data(token.digest), token.expiresAt.unixSeconds, "\(token.agentID)",
                ])
        }
    }

    package func joinToken(digest: [UInt8]) async throws(StoreError) -> JoinTokenRecord? {
        try await read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM join_tokens WHERE digest = ?", arguments: [Data(digest)])
                .map { row in
                    let columns = Columns(row, of: "join_tokens")
                    return JoinTokenRecord(
                        digest: try columns.bytes("digest"), expiresAt: try columns.date("expires_at"),
                        agentID: try columns.spiffeID("agent_id"))
                }
        }
    }

    package func redeem(tokenDigest: [UInt8], for agent: AttestedAgent) async throws(StoreError) -> Bool {
        try await write { db in
            try db.execute(sql: "DELETE FROM join_tokens WHERE digest = ?", arguments: [Data(tokenDigest)])
            // Of two who race for one token, the second finds nothing to delete.
            guard db.changesCount == 1 else { return false }
            try Self.put(agent, db)
            return true
        }
    }

    package func pruneTokens(expiredBefore instant: Date) async throws(StoreError) {
        try await write { db in
            try db.execute(
                sql: "DELETE FROM join_tokens WHERE expires_at < ?",
                arguments: [instant.unixSeconds])
        }
    }

    private static func put(_ agent: AttestedAgent, _ db: Database) throws {
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO agents (id, attestation_type, serial, pending_serial, expires_at, selectors,
                    is_banned, can_reattest, version)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                "\(agent.id)", agent.attestationType, agent.serial, agent.pendingSerial,
                agent.expiresAt.unixSeconds, ListColumn.text(agent.selectors), agent.isBanned,
                agent.canReattest, agent.version,
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
        return agent
    }
}
