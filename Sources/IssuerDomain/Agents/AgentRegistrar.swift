package import Foundation
package import Logging
package import Platform
package import SPIFFE
internal import Synchronization

/// Lets nodes in, renews them, and knows which of them may act.
package final class AgentRegistrar: Sendable {
    /// The attestation type of the agent that shares a process with the issuer.
    package static let embeddedType = "embedded"

    private let issuer: SVIDIssuer
    let store: any AgentStore
    private let agents: Mutex<[SPIFFEID: AttestedAgent]>
    private let writing = Turnstile()
    private let guardian: RollbackGuard
    let contacts = AgentContacts()

    /// Reads the store.
    ///
    /// - Parameters:
    ///   - issuer: Signs agents' SVIDs.
    ///   - store: Keeps agents and tokens.
    ///   - mark: Tells a store that was brought back from one that was not; nil for no such check.
    ///   - logger: Told of a store that was.
    /// - Throws: ``StoreError``, ``SecurityMarkError``.
    package init(
        issuer: SVIDIssuer, store: any AgentStore, mark: (any SecurityMark)? = nil, logger: Logger = .silent
    ) async throws {
        self.issuer = issuer
        self.store = store
        guardian = try await RollbackGuard(store: store, mark: mark, logger: logger)
        var agents: [SPIFFEID: AttestedAgent] = [:]
        for agent in try await store.loadAgents() { agents[agent.id] = agent }
        self.agents = Mutex(agents)
    }

    /// What the store has forgotten, until an admin accepts it; nil when nothing.
    package var rollback: Rollback? { guardian.rollback }

    /// Accepts a store that was brought back: every join token in it is dropped, and nodes are let in again.
    ///
    /// - Returns: How many tokens were dropped; nil when there was nothing to accept.
    /// - Throws: ``AgentRefusal``.
    package func acceptRollback() async throws(AgentRefusal) -> Int? {
        try await writing.pass { () async throws(AgentRefusal) in try await self.guardian.accept() }
    }

    /// Every agent, by ID.
    package var all: [AttestedAgent] { agents.withLock { $0.values.sorted { $0.id < $1.id } } }

    /// The agent with an ID.
    package func agent(_ id: SPIFFEID) -> AttestedAgent? { agents.withLock { $0[id] } }

    /// Makes a join token, which nobody can use before it is kept.
    ///
    /// - Parameters:
    ///   - lifetime: How long it may be used.
    ///   - chosen: The token's text when an admin insists; otherwise it is drawn.
    ///   - now: The time.
    ///   - entropy: For the token and the agent's ID.
    /// - Returns: The token, to be shown once, and what is to be kept of it.
    /// - Throws: ``AgentRefusal``.
    package func draftJoinToken(
        lifetime: Duration, chosen: SecretText?, now: Date, using entropy: some Entropy
    ) throws(AgentRefusal) -> (token: SecretText, record: JoinTokenRecord) {
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
        return (token, record)
    }

    /// Lets a join token be used from now on.
    ///
    /// - Throws: ``AgentRefusal``; `tokenTaken` when a token with the same text is kept already.
    package func keep(_ record: JoinTokenRecord) async throws(AgentRefusal) {
        let isNew: Bool
        do { isNew = try await store.put(record) } catch { throw .store(error) }
        guard isNew else { throw .tokenTaken }
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
        try guardian.requireSound()
        let digest = JoinToken.digest(of: token)
        let key = JoinTokenRedemption(keyDigest: request.keyDigest, at: now)
        let record = try await joinToken(digest)
        switch record.judge(keyDigest: key.keyDigest, now: now) {
        case .refused: throw .tokenRefused
        case .repeated: return try await redeemAgain(record, request: request, now: now, using: entropy)
        case .firstUse:
            let svid = try sign(record.agentID, request: request, now: now, using: &entropy)
            let agent = AttestedAgent(
                id: record.agentID, attestationType: JoinToken.attestationType, serial: svid.serial,
                expiresAt: svid.lifetime.validity.upperBound, selectors: [], canReattest: false)
            let revision: UInt64?
            do { revision = try await store.redeem(tokenDigest: digest, as: key, for: agent) } catch {
                throw .store(error)
            }
            guard let revision else {
                // Somebody was faster; it may have been the same node, asking twice at once.
                let record = try await joinToken(digest)
                guard record.judge(keyDigest: key.keyDigest, now: now) == .repeated else { throw .tokenRefused }
                return try await redeemAgain(record, request: request, now: now, using: entropy)
            }
            agents.withLock { $0[agent.id] = agent }
            try guardian.note(revision)
            return svid
        }
    }

    private func joinToken(_ digest: [UInt8]) async throws(AgentRefusal) -> JoinTokenRecord {
        let found: JoinTokenRecord?
        do { found = try await store.joinToken(digest: digest) } catch { throw .store(error) }
        guard let found else { throw .tokenRefused }
        return found
    }

    /// Gives a node whose answer was lost another SVID for the same key; the lost one stays good as well.
    private func redeemAgain(
        _ record: JoinTokenRecord, request: SigningRequest, now: Date, using entropy: some Entropy
    ) async throws(AgentRefusal) -> IssuedX509SVID {
        try await writing.pass { () async throws(AgentRefusal) in
            var entropy = entropy
            // One that was evicted since does not come back by a token that it has used.
            guard var agent = self.agent(record.agentID) else { throw .tokenRefused }
            guard !agent.isBanned else { throw .banned }
            try await self.guardian.noteCurrent()
            let svid = try self.sign(agent.id, request: request, now: now, using: &entropy)
            agent.pendingSerial = svid.serial
            agent.expiresAt = max(agent.expiresAt, svid.lifetime.validity.upperBound)
            try await self.write(agent)
            return svid
        }
    }

    /// Raises the security mark to what the store holds, whoever raised that.
    ///
    /// - Throws: ``AgentRefusal``.
    package func raiseMark() async throws(AgentRefusal) {
        try await writing.pass { () async throws(AgentRefusal) in try await self.guardian.noteCurrent() }
    }

    /// Lets a node in by what an attestor found.
    ///
    /// - Throws: ``AgentRefusal``; `alreadyAttested` when a proof that is trusted on first use has been used.
    package func admit(
        _ proof: NodeProof, request: SigningRequest, now: Date, using entropy: some Entropy
    ) async throws(AgentRefusal) -> NodeAdmission {
        try await writing.pass { () async throws(AgentRefusal) in
            var entropy = entropy
            let known = self.agent(proof.id)
            if known?.isBanned == true { throw .banned }
            if known != nil, !proof.canReattest { throw .alreadyAttested }
            try self.guardian.requireSound()
            let svid = try self.sign(proof.id, request: request, now: now, using: &entropy)
            var agent = AttestedAgent(
                id: proof.id, attestationType: proof.type, serial: svid.serial,
                expiresAt: svid.lifetime.validity.upperBound, selectors: proof.selectors,
                canReattest: proof.canReattest)
            if let known { agent.inherit(known) }
            try await self.write(agent)
            return NodeAdmission(
                svid: svid, canReattest: proof.canReattest,
                hasNewSelectors: Set(known?.selectors ?? []) != Set(proof.selectors))
        }
    }

    /// The key by which an agent may come back; nil when it has none, is banned, can repeat its proof, or is not known.
    package func nodeKey(of id: SPIFFEID) -> [UInt8]? {
        guard let agent = agent(id), !agent.isBanned, !agent.canReattest else { return nil }
        return agent.nodeKey
    }

    /// Keeps the key by which an agent may come back; another one replaces it.
    ///
    /// An agent that can repeat its proof has no such key: it would outlive the certificate, the pod or the authority
    /// that the proof is made of.
    ///
    /// - Parameters:
    ///   - key: SubjectPublicKeyInfo, DER; its possession has been proven.
    ///   - id: The agent.
    /// - Throws: ``AgentRefusal``; `mustReattest` for an agent that can repeat its proof.
    package func register(nodeKey key: [UInt8], of id: SPIFFEID) async throws(AgentRefusal) {
        try await writing.pass { () async throws(AgentRefusal) in
            guard var agent = self.agent(id) else { throw .notAttested }
            guard !agent.isBanned else { throw .banned }
            guard !agent.canReattest else { throw .mustReattest }
            guard agent.nodeKey != key else { return }
            agent.nodeKey = key
            try await self.write(agent)
        }
    }

    /// Lets a node back in that has proven the key it registered; what else is known of it stays.
    ///
    /// - Throws: ``AgentRefusal``; `mustReattest` for an agent that can repeat its proof.
    package func rejoin(
        _ id: SPIFFEID, request: SigningRequest, now: Date, using entropy: some Entropy
    ) async throws(AgentRefusal) -> NodeAdmission {
        try await writing.pass { () async throws(AgentRefusal) in
            var entropy = entropy
            try self.guardian.requireSound()
            guard var agent = self.agent(id), agent.nodeKey != nil else { throw .notAttested }
            guard !agent.isBanned else { throw .banned }
            guard !agent.canReattest else { throw .mustReattest }
            let svid = try self.sign(id, request: request, now: now, using: &entropy)
            agent.serial = svid.serial
            agent.pendingSerial = nil
            agent.expiresAt = svid.lifetime.validity.upperBound
            try await self.write(agent)
            return NodeAdmission(svid: svid, canReattest: agent.canReattest, hasNewSelectors: false)
        }
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
            try self.guardian.requireSound()
            let svid = try self.sign(id, request: request, now: now, using: &entropy)
            var agent = AttestedAgent(
                id: id, attestationType: Self.embeddedType, serial: svid.serial,
                expiresAt: svid.lifetime.validity.upperBound, selectors: [], canReattest: true)
            if let known = self.agent(id) { agent.inherit(known) }
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
            guard !agent.isBanned else { throw .banned }
            guard !agent.canReattest else { throw .mustReattest }
            try self.guardian.requireSound()
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
        // Of every agent, a store that was brought back may have forgotten a ban. What they hold goes on; they get nothing.
        try guardian.requireSound()
        if serial == agent.serial {
            contacts.note(id, at: now)
            return agent
        }
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
            self.contacts.note(id, at: now)
            return agent
        }
    }

    /// Notes what an agent says of itself.
    ///
    /// - Parameters:
    ///   - version: What it runs; nil when it does not say.
    ///   - bundleSerial: The sequence number of the bundle that it holds; nil when it does not say.
    ///   - id: The agent.
    /// - Throws: ``AgentRefusal``.
    package func note(
        version: String? = nil, bundleSerial: UInt64? = nil, of id: SPIFFEID
    ) async throws(AgentRefusal) {
        try await writing.pass { () async throws(AgentRefusal) in
            guard var agent = self.agent(id) else { return }
            let before = agent
            if let version { agent.version = String(version.prefix(255)) }
            if let bundleSerial { agent.bundleSerial = bundleSerial }
            guard agent != before else { return }
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
            let revision: UInt64
            do throws(StoreError) { revision = try await self.store.ban(agent) } catch { throw .store(error) }
            self.agents.withLock { $0[id] = agent }
            try self.guardian.note(revision)
            return true
        }
    }

    /// Forgets an agent; it may come back where its method allows.
    ///
    /// - Returns: Whether there was such an agent.
    /// - Throws: ``AgentRefusal``.
    package func delete(_ id: SPIFFEID) async throws(AgentRefusal) -> Bool {
        try await writing.pass { () async throws(AgentRefusal) in
            let revision: UInt64?
            do throws(StoreError) { revision = try await self.store.deleteAgent(id) } catch { throw .store(error) }
            self.agents.withLock { $0[id] = nil }
            self.contacts.forget(id)
            guard let revision else { return false }
            try self.guardian.note(revision)
            return true
        }
    }

    /// Drops join tokens that are over.
    ///
    /// - Throws: ``StoreError``.
    package func pruneTokens(now: Date) async throws(StoreError) {
        try await store.pruneTokens(
            expiredBefore: now, redeemedBefore: now - JoinToken.redemptionWindow.timeInterval)
    }

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

    /// Writes down when agents were last heard of, of each at most once a minute.
    ///
    /// - Throws: ``StoreError``; what was not written is written next time.
    package func keepContacts(now: Date) async throws(StoreError) {
        try await writing.pass { () async throws(StoreError) in
            let due = self.agents.withLock { agents in
                self.contacts.due(now: now) { id in agents[id] }
            }
            guard !due.isEmpty else { return }
            try await self.store.noteContacts(due)
            self.agents.withLock { agents in for (id, instant) in due { agents[id]?.lastSeen = instant } }
        }
    }

    /// When an agent was last heard of; nil when never.
    package func lastSeen(_ id: SPIFFEID) -> Date? {
        [agent(id)?.lastSeen, contacts.last(of: id)].compactMap(\.self).max()
    }
}
