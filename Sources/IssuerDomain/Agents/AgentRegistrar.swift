package import Foundation
package import Platform
package import SPIFFE
internal import Synchronization

/// Lets nodes in, renews them, and knows which of them may act.
package final class AgentRegistrar: Sendable {
    /// The attestation type of the agent that shares a process with the issuer.
    package static let embeddedType = "embedded"

    private let issuer: SVIDIssuer
    private let store: any AgentStore
    private let agents: Mutex<[SPIFFEID: AttestedAgent]>
    private let writing = Turnstile()

    /// Reads the store.
    ///
    /// - Throws: ``StoreError``.
    package init(issuer: SVIDIssuer, store: any AgentStore) async throws(StoreError) {
        self.issuer = issuer
        self.store = store
        var agents: [SPIFFEID: AttestedAgent] = [:]
        for agent in try await store.loadAgents() { agents[agent.id] = agent }
        self.agents = Mutex(agents)
    }

    /// Every agent, by ID.
    package var all: [AttestedAgent] { agents.withLock { $0.values.sorted { $0.id < $1.id } } }

    /// The agent with an ID.
    package func agent(_ id: SPIFFEID) -> AttestedAgent? { agents.withLock { $0[id] } }

    /// Makes a join token.
    ///
    /// - Parameters:
    ///   - lifetime: How long it may be used.
    ///   - chosen: The token's text when an admin insists; otherwise it is drawn.
    ///   - now: The time.
    ///   - entropy: For the token and the agent's ID.
    /// - Returns: The token, to be shown once, and what is kept of it.
    /// - Throws: ``AgentRefusal``.
    package func createJoinToken(
        lifetime: Duration, chosen: SecretText?, now: Date, using entropy: some Entropy
    ) async throws(AgentRefusal) -> (token: SecretText, record: JoinTokenRecord) {
        var entropy = entropy
        guard JoinToken.lifetimes.contains(lifetime) else {
            throw .badRequest(detail: "token lifetime must be between 1 second and 365 days")
        }
        if let chosen, !(16...256).contains(chosen.exposed.utf8.count) {
            throw .badRequest(detail: "a chosen token must have 16 to 256 bytes")
        }
        let token = chosen ?? JoinToken.draw(using: &entropy)
        let agentID: SPIFFEID
        do { agentID = try JoinToken.agentID(in: issuer.trustDomain, using: &entropy) } catch {
            throw .badRequest(detail: "\(error)")
        }
        let record = JoinTokenRecord(
            digest: JoinToken.digest(of: token),
            expiresAt: Date(timeIntervalSince1970: (now + lifetime.timeInterval).timeIntervalSince1970.rounded(.down)),
            agentID: agentID)
        do { try await store.put(record) } catch { throw .store(error) }
        return (token, record)
    }

    /// Lets a node in by a join token, which is used up.
    ///
    /// The SVID is signed before the token is used, and leaves only if this caller is the one that used it.
    ///
    /// - Throws: ``AgentRefusal``.
    package func attest(
        joinToken token: SecretText, request: SigningRequest, now: Date, using entropy: some Entropy
    ) async throws(AgentRefusal) -> IssuedX509SVID {
        var entropy = entropy
        let digest = JoinToken.digest(of: token)
        let found: JoinTokenRecord?
        do { found = try await store.joinToken(digest: digest) } catch { throw .store(error) }
        guard let record = found, record.expiresAt > now else { throw .tokenRefused }
        let svid = try sign(record.agentID, request: request, now: now, using: &entropy)
        let agent = AttestedAgent(
            id: record.agentID, attestationType: JoinToken.attestationType, serial: svid.serial,
            expiresAt: svid.lifetime.validity.upperBound, selectors: [], canReattest: false)
        let isFirst: Bool
        do { isFirst = try await store.redeem(tokenDigest: digest, for: agent) } catch { throw .store(error) }
        guard isFirst else { throw .tokenRefused }
        agents.withLock { $0[agent.id] = agent }
        return svid
    }

    /// Lets in the agent that shares this process, under an ID that never changes.
    ///
    /// - Throws: ``AgentRefusal``.
    package func attestEmbedded(
        request: SigningRequest, now: Date, using entropy: some Entropy
    ) async throws(AgentRefusal) -> IssuedX509SVID {
        let id: SPIFFEID
        do { id = try SPIFFEID(trustDomain: issuer.trustDomain, path: "/spire/agent/embedded") } catch {
            throw .badRequest(detail: "\(error)")
        }
        return try await writing.pass { () async throws(AgentRefusal) in
            var entropy = entropy
            if self.agent(id)?.isBanned == true { throw .banned }
            let svid = try self.sign(id, request: request, now: now, using: &entropy)
            var agent = AttestedAgent(
                id: id, attestationType: Self.embeddedType, serial: svid.serial,
                expiresAt: svid.lifetime.validity.upperBound, selectors: [], canReattest: true)
            agent.version = self.agent(id)?.version ?? ""
            try await self.write(agent)
            return svid
        }
    }

    /// Gives an agent a new SVID; the old one stays good until the new one is first used.
    ///
    /// - Throws: ``AgentRefusal``.
    package func renew(
        _ id: SPIFFEID, request: SigningRequest, now: Date, using entropy: some Entropy
    ) async throws(AgentRefusal) -> IssuedX509SVID {
        try await writing.pass { () async throws(AgentRefusal) in
            var entropy = entropy
            guard var agent = self.agent(id) else { throw .notAttested }
            let svid = try self.sign(id, request: request, now: now, using: &entropy)
            agent.pendingSerial = svid.serial
            agent.expiresAt = max(agent.expiresAt, svid.lifetime.validity.upperBound)
            try await self.write(agent)
            return svid
        }
    }

    /// Judges whether the holder of a verified SVID may act as an agent.
    ///
    /// - Parameters:
    ///   - id: The SPIFFE ID in the SVID.
    ///   - serial: Its serial number, lower-case hex.
    ///   - end: When it ends.
    ///   - now: The time.
    /// - Returns: The agent; a renewed SVID that is shown for the first time has become its active one.
    /// - Throws: ``AgentRefusal``.
    package func authorize(
        _ id: SPIFFEID, serial: String, end: Date, now: Date
    ) async throws(AgentRefusal) -> AttestedAgent {
        guard let agent = agent(id) else { throw .notAttested }
        guard !agent.isBanned else { throw .banned }
        guard end > now else { throw .expired }
        if serial == agent.serial { return agent }
        guard serial == agent.pendingSerial else { throw .notActive }
        return try await writing.pass { () async throws(AgentRefusal) in
            // Of several calls that use the new SVID first, one has made it the active one by now.
            if let agent = self.agent(id), agent.serial == serial, !agent.isBanned { return agent }
            guard var agent = self.agent(id) else { throw .notAttested }
            guard !agent.isBanned else { throw .banned }
            guard agent.pendingSerial == serial else { throw .notActive }
            agent.serial = serial
            agent.pendingSerial = nil
            agent.expiresAt = end
            try await self.write(agent)
            return agent
        }
    }

    /// Notes the version an agent says it runs.
    ///
    /// - Throws: ``AgentRefusal``.
    package func note(version: String, of id: SPIFFEID) async throws(AgentRefusal) {
        let version = String(version.prefix(64))
        try await writing.pass { () async throws(AgentRefusal) in
            guard var agent = self.agent(id), agent.version != version else { return }
            agent.version = version
            try await self.write(agent)
        }
    }

    /// Bans an agent: it may neither act nor come back until it is deleted.
    ///
    /// - Returns: Whether there is such an agent.
    /// - Throws: ``AgentRefusal``.
    package func ban(_ id: SPIFFEID) async throws(AgentRefusal) -> Bool {
        try await writing.pass { () async throws(AgentRefusal) in
            guard var agent = self.agent(id) else { return false }
            agent.isBanned = true
            try await self.write(agent)
            return true
        }
    }

    /// Forgets an agent; it may come back where its method allows.
    ///
    /// - Returns: Whether there was such an agent.
    /// - Throws: ``AgentRefusal``.
    package func delete(_ id: SPIFFEID) async throws(AgentRefusal) -> Bool {
        try await writing.pass { () async throws(AgentRefusal) in
            let existed: Bool
            do throws(StoreError) { existed = try await self.store.deleteAgent(id) } catch { throw .store(error) }
            self.agents.withLock { $0[id] = nil }
            return existed
        }
    }

    /// Drops join tokens that are over.
    ///
    /// - Throws: ``StoreError``.
    package func pruneTokens(now: Date) async throws(StoreError) { try await store.pruneTokens(expiredBefore: now) }

    private func sign(
        _ id: SPIFFEID, request: SigningRequest, now: Date, using entropy: inout some Entropy
    ) throws(AgentRefusal) -> IssuedX509SVID {
        do {
            return try issuer.x509SVID(
                id: id, request: request, asked: nil, defaultTTL: issuer.settings.agentTTL, now: now, using: &entropy)
        } catch { throw .issuance(error) }
    }

    private func write(_ agent: AttestedAgent) async throws(AgentRefusal) {
        do { try await store.put(agent) } catch { throw .store(error) }
        agents.withLock { $0[agent.id] = agent }
    }
}
