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

    /// Writes an agent that was banned, and raises the security revision in the same transaction.
    ///
    /// - Returns: The new security revision.
    /// - Throws: ``StoreError``.
    func ban(_ agent: AttestedAgent) async throws(StoreError) -> UInt64

    /// Forgets an agent, and raises the security revision in the same transaction.
    ///
    /// - Returns: The new security revision; nil when there was no such agent.
    /// - Throws: ``StoreError``.
    func deleteAgent(_ id: SPIFFEID) async throws(StoreError) -> UInt64?

    /// Notes when agents were last heard of, in one transaction; those that it does not hold are passed over.
    ///
    /// - Throws: ``StoreError``.
    func noteContacts(_ contacts: [(id: SPIFFEID, instant: Date)]) async throws(StoreError)

    /// Which of some agents' IDs nobody has or can get: there is neither such an agent nor an unused token for it.
    ///
    /// - Throws: ``StoreError``.
    func abandoned(_ ids: Set<SPIFFEID>) async throws(StoreError) -> Set<SPIFFEID>

    /// Whether there is no agent and no join token.
    ///
    /// - Throws: ``StoreError``.
    func isUnused() async throws(StoreError) -> Bool

    /// Keeps a new join token.
    ///
    /// - Returns: False when there is one of the same digest, which stays.
    /// - Throws: ``StoreError``.
    func put(_ token: JoinTokenRecord) async throws(StoreError) -> Bool

    /// Reads a join token.
    ///
    /// - Parameter digest: SHA-256 of its text.
    /// - Returns: The record, even if the token has ended; nil when there is none.
    /// - Throws: ``StoreError``.
    func joinToken(digest: [UInt8]) async throws(StoreError) -> JoinTokenRecord?

    /// Uses a token up, writes the agent that used it and raises the security revision, in one transaction.
    ///
    /// - Returns: The new security revision; nil when the token was not there or had been used, and nothing is written.
    /// - Throws: ``StoreError``.
    func redeem(
        tokenDigest: [UInt8], as redemption: JoinTokenRedemption, for agent: AttestedAgent
    ) async throws(StoreError) -> UInt64?

    /// Drops tokens that are of no more use to anybody.
    ///
    /// - Parameters:
    ///   - instant: Those that ended before, used or not.
    ///   - redeemed: Used ones among them stay unless they were used before this.
    /// - Throws: ``StoreError``.
    func pruneTokens(expiredBefore instant: Date, redeemedBefore redeemed: Date) async throws(StoreError)

    /// Reads the security revision: how often a token was used, an agent banned or forgotten.
    ///
    /// - Throws: ``StoreError``.
    func securityRevision() async throws(StoreError) -> UInt64

    /// Goes on from a higher security revision, and drops every token, in one transaction.
    ///
    /// - Returns: How many tokens were dropped.
    /// - Throws: ``StoreError``.
    func acceptRollback(to revision: UInt64) async throws(StoreError) -> Int
}
