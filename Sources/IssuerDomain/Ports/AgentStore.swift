package import Foundation
package import SPIFFE

/// Durable agents and join tokens.
package protocol AgentStore: Sendable {
    /// Reads every agent.
    ///
    /// - Throws: ``StoreError``.
    func loadAgents() async throws(StoreError) -> [AttestedAgent]

    /// Writes an agent, new or known.
    ///
    /// - Throws: ``StoreError``.
    func put(_ agent: AttestedAgent) async throws(StoreError)

    /// Forgets an agent.
    ///
    /// - Returns: Whether there was one.
    /// - Throws: ``StoreError``.
    func deleteAgent(_ id: SPIFFEID) async throws(StoreError) -> Bool

    /// Keeps a new join token.
    ///
    /// - Throws: ``StoreError``.
    func put(_ token: JoinTokenRecord) async throws(StoreError)

    /// Reads a join token.
    ///
    /// - Parameter digest: SHA-256 of its text.
    /// - Returns: The record, even if the token has ended; nil when there is none.
    /// - Throws: ``StoreError``.
    func joinToken(digest: [UInt8]) async throws(StoreError) -> JoinTokenRecord?

    /// Uses a token up and writes the agent that used it, in one transaction.
    ///
    /// - Returns: Whether the token was still there. When it was not, nothing is written.
    /// - Throws: ``StoreError``.
    func redeem(tokenDigest: [UInt8], for agent: AttestedAgent) async throws(StoreError) -> Bool

    /// Drops tokens that ended before an instant.
    ///
    /// - Throws: ``StoreError``.
    func pruneTokens(expiredBefore instant: Date) async throws(StoreError)
}
