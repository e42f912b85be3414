import Crypto
import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import Synchronization
import TestSupport
import Testing

@Suite("Letting nodes in by proof")
struct NodeAdmissionTests {
    @Test("A proof lets a node in under its own path, with what was proven of it")
    func admits() async throws {
        let test = try await Admissions()
        let admission = try await test.admit(["x509pop:subject:cn:b", "x509pop:subject:cn:a", "x509pop:subject:cn:a"])
        #expect(admission.svid.id == (try Given.id("/spire/agent/x509pop/one")))
        #expect(admission.canReattest)
        #expect(admission.hasNewSelectors)
        let agent = try #require(test.agents.agent(admission.svid.id))
        #expect(agent.selectors.map { "\($0)" } == ["x509pop:subject:cn:a", "x509pop:subject:cn:b"])
        #expect(agent.attestationType == "x509pop")
        #expect(agent.serial == admission.svid.serial)
    }

    @Test("A node that can repeat its proof does so while it is active, and the newest SVID counts")
    func repeats() async throws {
        let test = try await Admissions()
        let first = try await test.admit(["x509pop:a:b"], seed: 1)
        try await test.agents.note(version: "1.2", of: first.svid.id)
        let second = try await test.admit(["x509pop:a:b"], seed: 2)
        #expect(!second.hasNewSelectors)
        #expect(test.agents.agent(first.svid.id)?.version == "1.2")
        try await test.act(second.svid)
        await #expect(throws: AgentRefusal.notActive) { try await test.act(first.svid) }
        #expect(try await test.admit(["x509pop:a:c"], seed: 3).hasNewSelectors)
    }

    @Test("A node that can repeat its proof must, instead of renewing")
    func mustReattest() async throws {
        let test = try await Admissions()
        let admission = try await test.admit([])
        await #expect(throws: AgentRefusal.mustReattest) {
            try await test.agents.renew(
                admission.svid.id, request: Given.request(), now: Given.start, using: SeededEntropy(8))
        }
    }

    @Test("What is trusted on first use is trusted once, until it is evicted")
    func firstUse() async throws {
        let test = try await Admissions()
        let first = try await test.admit([], canReattest: false)
        await #expect(throws: AgentRefusal.alreadyAttested) { try await test.admit([], canReattest: false) }
        _ = try await test.agents.renew(
            first.svid.id, request: Given.request(), now: Given.start, using: SeededEntropy(8))
        #expect(try await test.agents.delete(first.svid.id))
        #expect(try await test.admit([], canReattest: false).svid.id == first.svid.id)
    }

    @Test("Of many at once that are trusted on first use, one is let in")
    func firstUseRace() async throws {
        let test = try await Admissions()
        let outcomes = await withTaskGroup(of: AgentRefusal?.self) { group in
            for seed in 0..<50 {
                group.addTask {
                    do throws(AgentRefusal) {
                        _ = try await test.admit([], canReattest: false, seed: UInt64(seed))
                        return nil
                    } catch { return error }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.filter { $0 == nil }.count == 1)
        #expect(outcomes.filter { $0 == .alreadyAttested }.count == 49)
    }

    @Test("A banned node stays out whatever it proves")
    func banned() async throws {
        let test = try await Admissions()
        let admission = try await test.admit([])
        #expect(try await test.agents.ban(admission.svid.id))
        await #expect(throws: AgentRefusal.banned) { try await test.admit([]) }
        await #expect(throws: AgentRefusal.banned) { try await test.act(admission.svid) }
    }

    @Test(
        "A node cannot be placed outside of its attestor's own paths",
        arguments: ["sshpop/one", "x509pop", "x509pop/", "x509pop/../sshpop/one", "x509pop//one", "x509pop/a b", ""])
    func placement(path: String) throws {
        #expect(throws: AgentRefusal.self) {
            try NodeProof(
                type: "x509pop", path: path, selectors: [], canReattest: true, in: Given.trustDomain())
        }
    }
}

@Suite("Using a join token again after a lost answer")
struct RedemptionWindowTests {
    @Test("The same key gets an SVID again within the window, and both work")
    func sameKey() async throws {
        let test = try await Admissions()
        let (token, key) = (try await test.token(), P256.Signing.PrivateKey())
        let first = try await test.redeem(token, key)
        let again = try await test.redeem(token, key, at: 599)
        #expect(again.id == first.id)
        #expect(again.serial != first.serial)
        try await test.act(first)
        try await test.act(again)
        await #expect(throws: AgentRefusal.notActive) { try await test.act(first) }
        #expect(test.agents.all.count == 1)
    }

    @Test("Another key, or the same one after the window, is refused", arguments: [(true, 600), (false, 1)])
    func tooLate(isSameKey: Bool, offset: TimeInterval) async throws {
        let test = try await Admissions()
        let (token, key) = (try await test.token(), P256.Signing.PrivateKey())
        _ = try await test.redeem(token, key)
        await #expect(throws: AgentRefusal.tokenRefused) {
            try await test.redeem(token, isSameKey ? key : P256.Signing.PrivateKey(), at: offset)
        }
    }

    @Test("A used token brings back nobody who was banned or evicted since")
    func bannedOrEvicted() async throws {
        let test = try await Admissions()
        let (token, key) = (try await test.token(), P256.Signing.PrivateKey())
        let svid = try await test.redeem(token, key)
        #expect(try await test.agents.ban(svid.id))
        await #expect(throws: AgentRefusal.banned) { try await test.redeem(token, key, at: 1) }
        #expect(try await test.agents.delete(svid.id))
        await #expect(throws: AgentRefusal.tokenRefused) { try await test.redeem(token, key, at: 2) }
    }

    @Test("Of fifty keys that use one token at once, exactly one gets in")
    func race() async throws {
        let test = try await Admissions()
        let token = try await test.token()
        let outcomes = await withTaskGroup(of: Result<String, AgentRefusal>.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    do throws(AgentRefusal) {
                        return .success(try await test.redeem(token, P256.Signing.PrivateKey()).serial)
                    } catch { return .failure(error) }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.compactMap { try? $0.get() }.count == 1)
        #expect(outcomes.filter { $0 == .failure(.tokenRefused) }.count == 49)
        #expect(try await test.base.store.securityRevision() == 1)
    }

    @Test("Of one key that uses a token many times at once, every call gets in, as one agent")
    func sameKeyRace() async throws {
        let test = try await Admissions()
        let (token, key) = (try await test.token(), P256.Signing.PrivateKey())
        let ids = try await withThrowingTaskGroup(of: SPIFFEID.self) { group in
            for _ in 0..<20 { group.addTask { try await test.redeem(token, key).id } }
            return try await group.reduce(into: Set<SPIFFEID>()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
        #expect(test.agents.all.count == 1)
        #expect(try await test.base.store.securityRevision() == 1)
    }
}

@Suite("Coming back by a node key")
struct NodeKeyTests {
    @Test("An agent with a registered key comes back as itself, with what is known of it")
    func rejoins() async throws {
        let test = try await Admissions()
        let svid = try await test.redeem(try await test.token(), P256.Signing.PrivateKey())
        #expect(test.agents.nodeKey(of: svid.id) == nil)
        await #expect(throws: AgentRefusal.notAttested) { try await test.rejoin(svid.id) }
        try await test.agents.register(nodeKey: [1, 2, 3], of: svid.id)
        #expect(test.agents.nodeKey(of: svid.id) == [1, 2, 3])
        let back = try await test.rejoin(svid.id)
        #expect(back.svid.id == svid.id)
        #expect(!back.canReattest)
        let agent = try #require(test.agents.agent(svid.id))
        #expect(agent.attestationType == "join_token")
        #expect(agent.nodeKey == [1, 2, 3])
        try await test.act(back.svid)
        await #expect(throws: AgentRefusal.notActive) { try await test.act(svid) }
    }

    @Test("A banned agent does not come back, nor does an evicted one")
    func refused() async throws {
        let test = try await Admissions()
        let svid = try await test.redeem(try await test.token(), P256.Signing.PrivateKey())
        try await test.agents.register(nodeKey: [1], of: svid.id)
        #expect(try await test.agents.ban(svid.id))
        #expect(test.agents.nodeKey(of: svid.id) == nil)
        await #expect(throws: AgentRefusal.banned) { try await test.rejoin(svid.id) }
        await #expect(throws: AgentRefusal.banned) { try await test.agents.register(nodeKey: [2], of: svid.id) }
        #expect(try await test.agents.delete(svid.id))
        await #expect(throws: AgentRefusal.notAttested) { try await test.rejoin(svid.id) }
        await #expect(throws: AgentRefusal.notAttested) { try await test.agents.register(nodeKey: [2], of: svid.id) }
    }
}

@Suite("An agent that can repeat its proof, and node keys")
struct RepeatableNodeKeyTests {
    @Test("It registers none: the key would outlive what the proof is made of")
    func register() async throws {
        let test = try await Admissions()
        let admission = try await test.admit([])
        await #expect(throws: AgentRefusal.mustReattest) {
            try await test.agents.register(nodeKey: [1], of: admission.svid.id)
        }
        #expect(test.agents.agent(admission.svid.id)?.nodeKey == nil)
    }

    @Test("It does not come back by one that an earlier version kept")
    func rejoin() async throws {
        let before = try await Admissions()
        let id = try await before.admit([]).svid.id
        var agent = try #require(before.agents.agent(id))
        agent.nodeKey = [1]
        try await before.base.store.put(agent)
        let test = try await Admissions(base: before.base)
        #expect(test.agents.agent(id)?.nodeKey == [1])
        #expect(test.agents.nodeKey(of: id) == nil)
        await #expect(throws: AgentRefusal.mustReattest) { try await test.rejoin(id) }
    }

    @Test("One that is trusted on first use has one, and comes back by it")
    func firstUse() async throws {
        let test = try await Admissions()
        let id = try await test.admit([], canReattest: false).svid.id
        try await test.agents.register(nodeKey: [1], of: id)
        #expect(try await test.rejoin(id).svid.id == id)
    }

    @Test("Of many rejoins at once all get in as one agent, and one SVID is the active one")
    func rejoinRace() async throws {
        let test = try await Admissions()
        let id = try await test.redeem(try await test.token(), P256.Signing.PrivateKey()).id
        try await test.agents.register(nodeKey: [1], of: id)
        let svids = try await withThrowingTaskGroup(of: IssuedX509SVID.self) { group in
            for _ in 0..<20 { group.addTask { try await test.rejoin(id).svid } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        var acting = 0
        for svid in svids where (try? await test.act(svid)) != nil { acting += 1 }
        #expect(acting == 1)
        #expect(test.agents.all.count == 1)
    }

    @Test("Of many repeated proofs at once all get in as one agent, and one SVID is the active one")
    func proofRace() async throws {
        let test = try await Admissions()
        let svids = try await withThrowingTaskGroup(of: IssuedX509SVID.self) { group in
            for seed in 0..<20 { group.addTask { try await test.admit(["x509pop:a:b"], seed: UInt64(seed)).svid } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        var acting = 0
        for svid in svids where (try? await test.act(svid)) != nil { acting += 1 }
        #expect(acting == 1)
        #expect(test.agents.all.count == 1)
    }
}

@Suite("A store that was brought back")
struct RollbackTests {
    @Test("A store at or above its mark is sound, and raises the mark")
    func sound() async throws {
        let mark = MemoryMark()
        let test = try await Admissions(mark: mark)
        let svid = try await test.redeem(try await test.token(), P256.Signing.PrivateKey())
        #expect(mark.value == 1)
        #expect(try await test.agents.ban(svid.id))
        #expect(mark.value == 2)
        #expect(try await test.agents.delete(svid.id))
        #expect(mark.value == 3)
        #expect(test.agents.rollback == nil)
        mark.set(1)
        let again = try await Admissions(base: test.base, mark: mark)
        #expect(again.agents.rollback == nil)
        #expect(mark.value == 3, "as after a crash between the store and the mark")
    }

    @Test("A new store gets its mark before its first use, and one that is older than its use is found out")
    func fromTheStart() async throws {
        let mark = MemoryMark()
        let before = try await Admissions(mark: mark)
        #expect(mark.value == 0)
        _ = try await before.token()
        // Brought back to before its first use: no mark, no use, but a token that may have been used.
        let elsewhere = try await Admissions(base: before.base, mark: MemoryMark())
        #expect(elsewhere.agents.rollback == Rollback(stored: 0, marked: nil, isNew: false))
        #expect(try await Admissions(base: before.base, mark: mark).agents.rollback == nil)
    }

    @Test("A store that was used and has no mark serves nobody until it is accepted")
    func withoutMark() async throws {
        let before = try await Admissions(mark: MemoryMark())
        let svid = try await before.redeem(try await before.token(), P256.Signing.PrivateKey())
        let token = try await before.token(seed: 78)
        let mark = MemoryMark()
        let test = try await Admissions(base: before.base, mark: mark)
        #expect(test.agents.rollback == Rollback(stored: 1, marked: nil, isNew: false))
        let said = test.base.logs.records.first { $0.message.hasPrefix("store has no security mark") }
        #expect("\(try #require(said).metadata)".contains("mintmark server accept-rollback"))
        await #expect(throws: AgentRefusal.rolledBack) { try await test.redeem(token, P256.Signing.PrivateKey()) }
        await #expect(throws: AgentRefusal.rolledBack) { try await test.act(svid) }
        // What is banned meanwhile makes no mark by which the next start would believe the store.
        #expect(try await test.agents.ban(svid.id))
        #expect(mark.value == nil)
        let restarted = try await Admissions(base: before.base, mark: mark)
        #expect(restarted.agents.rollback != nil)
        #expect(try await restarted.agents.acceptRollback() == 2)
        #expect(mark.value == 2)
        #expect(try await Admissions(base: before.base, mark: mark).agents.rollback == nil)
        await #expect(throws: AgentRefusal.banned) { try await restarted.act(svid) }
    }

    @Test("A mark that cannot be written keeps a rollback from being accepted")
    func acceptedButUnmarked() async throws {
        let before = try await Admissions(mark: MemoryMark())
        _ = try await before.redeem(try await before.token(), P256.Signing.PrivateKey())
        let mark = MemoryMark()
        let test = try await Admissions(base: before.base, mark: mark)
        mark.fail(true)
        await #expect(throws: AgentRefusal.unmarked(detail: "full")) { try await test.agents.acceptRollback() }
        #expect(test.agents.rollback != nil)
        mark.fail(false)
        #expect(try await test.agents.acceptRollback() == 0)
    }

    @Test("Behind its mark, it lets nobody in, renews nobody and lets nobody act, of whom a ban may be forgotten")
    func behind() async throws {
        let mark = MemoryMark()
        let before = try await Admissions(mark: mark)
        let token = try await before.token()
        let joined = try await before.redeem(try await before.token(seed: 77), P256.Signing.PrivateKey())
        try await before.agents.register(nodeKey: [1], of: joined.id)
        _ = try await before.admit([])
        mark.set(9)
        let test = try await Admissions(base: before.base, mark: mark)
        #expect(test.agents.rollback == Rollback(stored: 1, marked: 9, isNew: false))
        await #expect(throws: AgentRefusal.rolledBack) { try await test.redeem(token, P256.Signing.PrivateKey()) }
        await #expect(throws: AgentRefusal.rolledBack) { try await test.rejoin(joined.id) }
        await #expect(throws: AgentRefusal.rolledBack) { try await test.admit([], path: "x509pop/new") }
        await #expect(throws: AgentRefusal.rolledBack) { try await test.admit([]) }
        await #expect(throws: AgentRefusal.rolledBack) { try await test.act(joined) }
        await #expect(throws: AgentRefusal.rolledBack) {
            try await test.agents.renew(
                joined.id, request: Given.request(), now: Given.start, using: SeededEntropy(8))
        }
        await #expect(throws: AgentRefusal.rolledBack) {
            try await test.agents.attestEmbedded(request: Given.request(), now: Given.start, using: SeededEntropy(8))
        }
        // What is done meanwhile does not make it look sound.
        #expect(try await test.agents.ban(joined.id))
        #expect(mark.value == 10)
        let restarted = try await Admissions(base: before.base, mark: mark)
        #expect(restarted.agents.rollback != nil)
        #expect(test.base.logs.messages().contains("store is older than it was; no agent is served"))

        #expect(try await restarted.agents.acceptRollback() == 2)
        #expect(try await restarted.admit([]).canReattest)
        #expect(restarted.agents.rollback == nil)
        await #expect(throws: AgentRefusal.tokenRefused) {
            try await restarted.redeem(token, P256.Signing.PrivateKey())
        }
        _ = try await restarted.redeem(try await restarted.token(seed: 78), P256.Signing.PrivateKey())
        #expect(mark.value == 11)
        #expect(try await restarted.agents.acceptRollback() == nil)
        #expect(try await Admissions(base: before.base, mark: mark).agents.rollback == nil)
    }

    @Test("A token whose use could not be marked gives no SVID, until it could")
    func unmarked() async throws {
        let mark = MemoryMark()
        let test = try await Admissions(mark: mark)
        let (token, key) = (try await test.token(), P256.Signing.PrivateKey())
        mark.fail(true)
        await #expect(throws: AgentRefusal.unmarked(detail: "full")) { try await test.redeem(token, key) }
        mark.fail(false)
        _ = try await test.redeem(token, key, at: 1)
        #expect(mark.value == 1)
    }
}

@Suite("Node aliases")
struct NodeAliasTests {
    @Test("An agent that has all of an alias's selectors serves what is below the alias, and no other agent does")
    func aliases() throws {
        let all = try Sample.entry(
            "alias", path: "/group/north", parent: "/spire/server",
            selectors: ["x509pop:san:region:north", "x509pop:ca:x"])
        let below = try Sample.entry("below", path: "/web", parent: "/group/north")
        let deeper = try Sample.entry("deeper", path: "/deep", parent: "/web")
        let other = try Sample.entry("other", path: "/other", parent: "/group/south")
        let index = EntryIndex(entries: [all, below, deeper, other])
        var agent = try Sample.agent("one")
        #expect(index.authorized(for: agent, now: Sample.start).isEmpty)
        agent.selectors = try Given.selectors(["x509pop:san:region:north"])
        #expect(index.authorized(for: agent, now: Sample.start).isEmpty, "one selector of two is not all")
        agent.selectors = try Given.selectors(["x509pop:san:region:north", "x509pop:ca:x", "x509pop:subject:cn:y"])
        #expect(index.aliases(of: agent, now: Sample.start) == [try Sample.id("/group/north")])
        #expect(index.authorized(for: agent, now: Sample.start).map(\.id) == ["below", "deeper"])
        for (entry, isIn) in [(all, false), (below, true), (deeper, true), (other, false)] {
            #expect(index.isAuthorized(agent, for: entry, now: Sample.start) == isIn)
        }
    }

    @Test("An alias that has ended counts for nobody")
    func ended() throws {
        var alias = try Sample.entry("alias", path: "/group", parent: "/spire/server", selectors: ["x509pop:ca:x"])
        alias.contents.expiresAt = Sample.start + 10
        let index = EntryIndex(entries: [alias, try Sample.entry("below", path: "/web", parent: "/group")])
        var agent = try Sample.agent("one")
        agent.selectors = try Given.selectors(["x509pop:ca:x"])
        #expect(index.authorized(for: agent, now: Sample.start + 9).map(\.id) == ["below"])
        #expect(index.authorized(for: agent, now: Sample.start + 10).isEmpty)
    }

    @Test(
        "What does not hold yet or is disabled, the alias or the entry under it, is nobody's", arguments: [true, false])
    func notInForce(aliasIsOff: Bool) throws {
        var alias = try Sample.entry("alias", path: "/group", parent: "/spire/server", selectors: ["x509pop:ca:x"])
        var below = try Sample.entry("below", path: "/web", parent: "/group")
        var agent = try Sample.agent("one")
        agent.selectors = try Given.selectors(["x509pop:ca:x"])
        for isDisabled in [true, false] {
            var details = EntryDetails()
            if isDisabled { details.isDisabled = true } else { details.notBefore = Sample.start + 10 }
            if aliasIsOff { alias.contents.details = details } else { below.contents.details = details }
            let index = EntryIndex(entries: [alias, below])
            for (offset, holds) in [(0.0, false), (10.0, !isDisabled)] {
                let now = Sample.start + offset
                #expect(index.authorized(for: agent, now: now).isEmpty == !holds)
                #expect(index.isAuthorized(agent, for: below, now: now) == holds)
            }
        }
    }
}

/// An issuer in memory, and nodes that want in.
private struct Admissions: Sendable {
    let base: TestIssuer
    let agents: AgentRegistrar

    init(base: TestIssuer? = nil, mark: MemoryMark? = nil) async throws {
        if let base { self.base = base } else { self.base = try await TestIssuer() }
        agents = try await AgentRegistrar(
            issuer: self.base.issuer, store: self.base.store, mark: mark, logger: self.base.logs.logger())
    }

    func token(seed: UInt64 = 3) async throws -> SecretText {
        let drafted = try agents.draftJoinToken(
            lifetime: .seconds(600), chosen: nil, now: Given.start, using: SeededEntropy(seed))
        try await agents.keep(drafted.record)
        return drafted.token
    }

    @discardableResult
    func redeem(
        _ token: SecretText, _ key: P256.Signing.PrivateKey, at offset: TimeInterval = 0
    ) async throws(AgentRefusal) -> IssuedX509SVID {
        try await agents.attest(
            joinToken: token, request: try request(key), now: Given.start + offset, using: SystemEntropy())
    }

    @discardableResult
    func admit(
        _ selectors: [String], path: String = "x509pop/one", canReattest: Bool = true, seed: UInt64 = 7
    ) async throws(AgentRefusal) -> NodeAdmission {
        let proof: NodeProof
        do {
            proof = try NodeProof(
                type: "x509pop", path: path, selectors: Given.selectors(selectors), canReattest: canReattest,
                in: Given.trustDomain())
        } catch { throw .badRequest(detail: "\(error)") }
        return try await agents.admit(
            proof, request: try request(P256.Signing.PrivateKey()), now: Given.start, using: SeededEntropy(seed))
    }

    @discardableResult
    func rejoin(_ id: SPIFFEID) async throws(AgentRefusal) -> NodeAdmission {
        try await agents.rejoin(
            id, request: try request(P256.Signing.PrivateKey()), now: Given.start, using: SystemEntropy())
    }

    @discardableResult
    func act(_ svid: IssuedX509SVID, at offset: TimeInterval = 0) async throws(AgentRefusal) -> AttestedAgent {
        try await agents.authorize(
            svid.id, serial: svid.serial, end: svid.lifetime.validity.upperBound, now: Given.start + offset)
    }

    private func request(_ key: P256.Signing.PrivateKey) throws(AgentRefusal) -> SigningRequest {
        do { return try Given.request(key) } catch { throw .badRequest(detail: "\(error)") }
    }
}

/// A mark in memory that can be set back, or made to fail.
private final class MemoryMark: SecurityMark {
    private let state = Mutex((value: UInt64?.none, fails: false))

    var value: UInt64? { state.withLock { $0.value } }

    func set(_ value: UInt64) { state.withLock { $0.value = value } }

    func fail(_ fails: Bool) { state.withLock { $0.fails = fails } }

    func read() throws(SecurityMarkError) -> UInt64? { value }

    func raise(to revision: UInt64) throws(SecurityMarkError) {
        let fails = state.withLock { state in
            if !state.fails { state.value = max(state.value ?? 0, revision) }
            return state.fails
        }
        if fails { throw SecurityMarkError("full") }
    }
}

@Suite("What agents say of themselves")
struct AgentStatusTests {
    @Test("A contact is known at once, and written down at most once a minute")
    func contacts() async throws {
        let test = try await Admissions()
        let svid = try await test.redeem(try await test.token(), P256.Signing.PrivateKey())
        #expect(test.agents.lastSeen(svid.id) == nil)
        for (offset, written) in [(0.5, 0.0), (30, 0), (59, 0), (61, 61), (10, 61), (-300, -300)] {
            try await test.act(svid, at: offset)
            #expect(test.agents.agent(svid.id)?.lastSeen.map { $0 <= test.agents.lastSeen(svid.id) ?? $0 } ?? true)
            try await test.agents.keepContacts(now: Given.start + offset)
            #expect(try await test.base.store.loadAgents().first?.lastSeen == Given.start + written, "\(offset)")
        }
        #expect(try await test.agents.delete(svid.id))
        #expect(test.agents.lastSeen(svid.id) == nil)
    }

    @Test("A contact outlives a restart, a renewal and a new proof; one that was refused is none")
    func outlives() async throws {
        let test = try await Admissions()
        let first = try await test.admit([])
        try await test.act(first.svid)
        try await test.agents.note(bundleSerial: 7, of: first.svid.id)
        try await test.agents.keepContacts(now: Given.start)
        _ = try await test.admit([], seed: 9)
        let again = try await Admissions(base: test.base)
        #expect(again.agents.lastSeen(first.svid.id) == Given.start)
        #expect(again.agents.agent(first.svid.id)?.bundleSerial == 7)
        await #expect(throws: AgentRefusal.notActive) { try await again.act(first.svid, at: 90) }
        #expect(again.agents.lastSeen(first.svid.id) == Given.start)
    }
}
