package import Foundation
package import IssuerDomain
package import SPIFFE
internal import Synchronization

/// The ports in memory, by the same contract as the real stores; writes can be held up or made to fail.
package final class MemoryStore: EntryStore, AgentStore, AuthorityStore, FederationStore {
    private struct AuthorityKey: Hashable {
        let kind: AuthorityRecord.Kind
        let id: String
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var digestSets: [String: DigestSet] = [:]
        var agents: [SPIFFEID: AttestedAgent] = [:]
        var tokens: [[UInt8]: JoinTokenRecord] = [:]
        var securityRevision: UInt64 = 0
        var authorities: [AuthorityKey: AuthorityRecord] = [:]
        var bundles: [TrustDomain: FederatedBundle] = [:]
        var relationships: [TrustDomain: FederationRelationship] = [:]
        var revision: UInt64 = 0
        var sequence: UInt64 = 0
        var failure: StoreError?
        var writes = 0
    }

    private let state = Mutex(State())
    let ledger = MemoryLedger()

    /// What writes fail with.
    var failure: StoreError? { state.withLock { $0.failure } }

    /// Holds up writes while it is shut.
    package let gate = Gate()

    package init() {}

    /// How many writes were asked for.
    package var writes: Int { state.withLock { $0.writes } }

    /// Makes every write from now on fail, or work again.
    package func failWrites(with failure: StoreError?) { state.withLock { $0.failure = failure } }

    package func loadEntries() async throws(StoreError) -> (entries: [Entry], revision: UInt64) {
        state.withLock { (Array($0.entries.values), $0.revision) }
    }

    package func loadDigestSets() async throws(StoreError) -> [DigestSet] {
        state.withLock { Array($0.digestSets.values) }
    }

    package func apply(_ changes: [EntryChange]) async throws(StoreError) -> UInt64 {
        try await write { state throws(StoreError) in
            try Self.apply(changes, to: &state)
            return state.revision
        }
    }

    private static func apply(_ changes: [EntryChange], to state: inout State) throws(StoreError) {
        for change in changes {
            state.revision += 1
            switch change {
            case .put(let entry): state.entries[entry.id] = entry
            case .delete(let id): state.entries[id] = nil
            case .putDigestSet(let set): state.digestSets[set.name] = set
            case .deleteDigestSet(let name): state.digestSets[name] = nil
            }
        }
        // Only what all of them come to has to keep keys unique.
        for case .put(let entry) in changes where state.entries[entry.id] == entry {
            let twin = state.entries.values.first { $0.contents.key == entry.contents.key && $0.id != entry.id }
            if let twin { throw .failed(detail: "the key is that of \(twin.id)") }
        }
    }

    package func loadFederation() async throws(StoreError) -> (
        bundles: [FederatedBundle], relationships: [FederationRelationship]
    ) {
        state.withLock { (Array($0.bundles.values), Array($0.relationships.values)) }
    }

    package func apply(_ changes: [FederationChange], entries: [EntryChange]) async throws(StoreError) -> UInt64 {
        try await write { state throws(StoreError) in
            try Self.apply(entries, to: &state)
            for change in changes {
                state.revision += 1
                switch change {
                case .putBundle(let bundle): state.bundles[bundle.trustDomain] = bundle
                case .deleteBundle(let domain): state.bundles[domain] = nil
                case .putRelationship(let relationship):
                    state.relationships[relationship.trustDomain] = relationship
                case .deleteRelationship(let domain): state.relationships[domain] = nil
                }
            }
            return state.revision
        }
    }

    package func loadAgents() async throws(StoreError) -> [AttestedAgent] {
        state.withLock { Array($0.agents.values) }
    }

    package func put(_ agent: AttestedAgent) async throws(StoreError) {
        try await write { state throws(StoreError) in state.agents[agent.id] = agent }
    }

    package func ban(_ agent: AttestedAgent) async throws(StoreError) -> UInt64 {
        try await write { state throws(StoreError) in
            state.agents[agent.id] = agent
            state.securityRevision += 1
            return state.securityRevision
        }
    }

    package func deleteAgent(_ id: SPIFFEID) async throws(StoreError) -> UInt64? {
        try await write { state throws(StoreError) in
            guard state.agents.removeValue(forKey: id) != nil else { return nil }
            state.securityRevision += 1
            return state.securityRevision
        }
    }

    package func noteContacts(_ contacts: [(id: SPIFFEID, instant: Date)]) async throws(StoreError) {
        try await write { state throws(StoreError) in
            for (id, instant) in contacts { state.agents[id]?.lastSeen = instant }
        }
    }

    package func abandoned(_ ids: Set<SPIFFEID>) async throws(StoreError) -> Set<SPIFFEID> {
        state.withLock { state in
            let awaited = Set(state.tokens.values.filter { $0.redemption == nil }.map(\.agentID))
            return ids.filter { state.agents[$0] == nil && !awaited.contains($0) }
        }
    }

    package func isUnused() async throws(StoreError) -> Bool {
        state.withLock { $0.agents.isEmpty && $0.tokens.isEmpty }
    }

    package func put(_ token: JoinTokenRecord) async throws(StoreError) -> Bool {
        try await write { state throws(StoreError) in
            guard state.tokens[token.digest] == nil else { return false }
            state.tokens[token.digest] = token
            return true
        }
    }

    package func joinToken(digest: [UInt8]) async throws(StoreError) -> JoinTokenRecord? {
        state.withLock { $0.tokens[digest] }
    }

    package func redeem(
        tokenDigest: [UInt8], as redemption: JoinTokenRedemption, for agent: AttestedAgent
    ) async throws(StoreError) -> UInt64? {
        try await write { state throws(StoreError) in
            guard let token = state.tokens[tokenDigest], token.redemption == nil else { return nil }
            state.tokens[tokenDigest]?.redemption = redemption
            state.agents[agent.id] = agent
            state.securityRevision += 1
            return state.securityRevision
        }
    }

    package func pruneTokens(
        expiredBefore instant: Date, redeemedBefore redeemed: Date
    ) async throws(StoreError) {
        try await write { state throws(StoreError) in
            state.tokens = state.tokens.filter { token in
                token.value.expiresAt >= instant || token.value.redemption.map { $0.at >= redeemed } ?? false
            }
        }
    }

    package func securityRevision() async throws(StoreError) -> UInt64 { state.withLock { $0.securityRevision } }

    package func acceptRollback(to revision: UInt64) async throws(StoreError) -> Int {
        try await write { state throws(StoreError) in
            let dropped = state.tokens.count
            state.tokens = [:]
            state.securityRevision = max(revision, state.securityRevision)
            return dropped
        }
    }

    package func loadAuthorities() async throws(StoreError) -> (authorities: [AuthorityRecord], sequence: UInt64) {
        state.withLock { (Array($0.authorities.values), $0.sequence) }
    }

    package func apply(_ changes: [AuthorityChange]) async throws(StoreError) -> UInt64 {
        try await write { state throws(StoreError) in
            for change in changes {
                state.revision += 1
                switch change {
                case .put(let record):
                    let key = AuthorityKey(kind: record.kind, id: record.id)
                    let known = state.authorities[key] ?? record
                    if record.state == .revoked {
                        state.securityRevision += 1
                    } else if known.state == .revoked {
                        throw .failed(detail: "authority \(record.id) was revoked")
                    }
                    state.authorities[key] = AuthorityRecord(
                        id: known.id, kind: known.kind, state: record.state, origin: record.origin,
                        notBefore: known.notBefore, notAfter: known.notAfter, publicDER: known.publicDER,
                        chain: known.chain, upstreamKeyID: known.upstreamKeyID, publisher: known.publisher)
                case .delete(let kind, let id): state.authorities[AuthorityKey(kind: kind, id: id)] = nil
                }
            }
            var signers: Set<String> = []
            for record in state.authorities.values where record.state == .active {
                guard case .server(let server, _) = record.origin,
                    signers.insert("\(record.kind) \(server?.description ?? "")").inserted
                else { throw .failed(detail: "two active authorities") }
            }
            state.sequence = state.revision
            return state.sequence
        }
    }

    /// Works on a copy, so that a body which throws changes nothing.
    private func write<Value: Sendable>(
        _ body: @Sendable (inout State) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        state.withLock { $0.writes += 1 }
        await gate.pass()
        return try state.withLock { state throws(StoreError) in
            if let failure = state.failure { throw failure }
            var draft = state
            let value = try body(&draft)
            state = draft
            return value
        }
    }
}

/// Holds up whoever passes while it is shut, and tells when somebody waits.
package final class Gate: Sendable {
    private struct State {
        var isShut = false
        var held: [CheckedContinuation<Void, Never>] = []
        var watchers: [(count: Int, wake: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    package init() {}

    package func shut() { state.withLock { $0.isShut = true } }

    /// Lets everyone pass, now and from now on.
    package func open() {
        let held = state.withLock { state in
            defer { (state.isShut, state.held) = (false, []) }
            return state.held
        }
        for waiting in held { waiting.resume() }
    }

    /// Lets the one who came first pass; the gate stays shut.
    package func letOne() {
        let first = state.withLock { $0.held.isEmpty ? nil : $0.held.removeFirst() }
        first?.resume()
    }

    /// Passes once the gate is open.
    package func pass() async {
        await withCheckedContinuation { continuation in
            let (mayPass, due) = state.withLock { state in
                guard state.isShut else { return (true, [CheckedContinuation<Void, Never>]()) }
                state.held.append(continuation)
                let due = state.watchers.filter { $0.count <= state.held.count }.map(\.wake)
                state.watchers.removeAll { $0.count <= state.held.count }
                return (false, due)
            }
            if mayPass { continuation.resume() }
            for watcher in due { watcher.resume() }
        }
    }

    /// Waits until so many are held up.
    package func waitUntilHeld(_ count: Int = 1) async {
        await withCheckedContinuation { continuation in
            let isDue = state.withLock { state in
                guard state.held.count < count else { return true }
                state.watchers.append((count, continuation))
                return false
            }
            if isDue { continuation.resume() }
        }
    }
}
