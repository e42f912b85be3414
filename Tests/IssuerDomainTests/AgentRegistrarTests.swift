import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing
import X509

@Suite("Letting nodes in")
struct JoinTests {
    @Test("A token lets one node in, under an ID drawn for it")
    func joins() async throws {
        let test = try await TestAgents()
        let (token, record) = try await test.token()
        let svid = try await test.join(token)
        #expect(svid.id == record.agentID)
        #expect(svid.id.path.hasPrefix("/spire/agent/join_token/"))
        let agent = try #require(test.agents.agent(svid.id))
        #expect(agent.serial == svid.serial)
        #expect(agent.attestationType == "join_token")
        #expect(agent.expiresAt == svid.lifetime.validity.upperBound)
        #expect(!agent.canReattest)
        #expect(!agent.isBanned)
        #expect(try await test.store.loadAgents() == [agent])
        #expect(svid.chain.count == 1)
    }

    @Test("A token works once")
    func singleUse() async throws {
        let test = try await TestAgents()
        let (token, _) = try await test.token()
        _ = try await test.join(token)
        await #expect(throws: AgentRefusal.tokenRefused) { try await test.join(token) }
        #expect(test.agents.all.count == 1)
    }

    @Test("Of many who use a token at once exactly one gets in")
    func race() async throws {
        let test = try await TestAgents()
        let (token, record) = try await test.token()
        let outcomes = await withTaskGroup(of: Result<String, AgentRefusal>.self) { group in
            for seed in 0..<24 {
                group.addTask {
                    do throws(AgentRefusal) {
                        return .success(try await test.join(token, seed: UInt64(seed) + 50).serial)
                    } catch { return .failure(error) }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let winners = outcomes.compactMap { try? $0.get() }
        #expect(winners.count == 1)
        #expect(outcomes.filter { $0 == .failure(.tokenRefused) }.count == 23)
        #expect(test.agents.agent(record.agentID)?.serial == winners.first)
        #expect(try await test.store.loadAgents().map(\.serial) == winners)
    }

    @Test("A token that nobody made is refused", arguments: ["", "x", String(repeating: "A", count: 43)])
    func unknown(text: String) async throws {
        let test = try await TestAgents()
        _ = try await test.token()
        await #expect(throws: AgentRefusal.tokenRefused) { try await test.join(SecretText(text)) }
    }

    @Test("A token works until it ends and not at its end", arguments: [(59, true), (60, false), (61, false)])
    func expiry(offset: TimeInterval, works: Bool) async throws {
        let test = try await TestAgents()
        let (token, record) = try await test.token(lifetime: .seconds(60))
        #expect(record.expiresAt == Given.start + 60)
        if works {
            #expect(try await test.join(token, now: Given.start + offset).id == record.agentID)
        } else {
            await #expect(throws: AgentRefusal.tokenRefused) { try await test.join(token, now: Given.start + offset) }
            #expect(test.agents.all.isEmpty)
        }
    }

    @Test("Pruned tokens are gone, others stay")
    func prunes() async throws {
        let test = try await TestAgents()
        let (short, _) = try await test.token(lifetime: .seconds(60), seed: 1)
        let (long, _) = try await test.token(lifetime: .seconds(600), seed: 2)
        try await test.agents.pruneTokens(now: Given.start + 61)
        #expect(try await test.store.joinToken(digest: JoinToken.digest(of: short)) == nil)
        #expect(try await test.store.joinToken(digest: JoinToken.digest(of: long)) != nil)
    }

    @Test("Neither the agent's ID nor what the store keeps tells the token")
    func idSaysNothing() async throws {
        let test = try await TestAgents()
        let (token, record) = try await test.token()
        #expect(!"\(record.agentID)".contains(token.exposed))
        #expect(!token.exposed.contains(record.agentID.path.split(separator: "/").last ?? ""))
        #expect(record.digest == JoinToken.digest(of: token))
        #expect(record.digest.count == 32)
        #expect(!String(decoding: record.digest, as: UTF8.self).contains(token.exposed))
        let chosen = SecretText("a-token-that-an-admin-chose")
        let made = try await test.token(chosen: chosen, seed: 9)
        #expect(made.token == chosen)
        #expect(!"\(made.record.agentID)".contains(chosen.exposed))
    }

    @Test("A drawn token has 32 random bytes and shows itself nowhere")
    func drawnTokens() async throws {
        var entropy = SeededEntropy(1)
        let tokens = (0..<100).map { _ in JoinToken.draw(using: &entropy) }
        #expect(Set(tokens).count == 100)
        #expect(tokens.allSatisfy { Base64URL.decode($0.exposed.utf8.dropFirst(4))?.count == 32 })
        #expect(tokens.allSatisfy { $0.exposed.hasPrefix("mmj_") })
        var dumped = ""
        dump(tokens, to: &dumped)
        #expect(tokens.allSatisfy { !dumped.contains($0.exposed) && "\($0)" == "<redacted>" })
    }

    @Test(
        "Lifetimes outside one second to a year are refused",
        arguments: [Duration.zero, .milliseconds(999), .seconds(-5), .seconds(365 * 86_400 + 1)])
    func lifetimes(lifetime: Duration) async throws {
        let test = try await TestAgents()
        await #expect(throws: AgentRefusal.badRequest(detail: "token lifetime must be between 1 second and 365 days")) {
            try await test.token(lifetime: lifetime)
        }
        #expect(test.base.store.writes == 1)
    }

    @Test("Chosen tokens too short to be secret, or too long, are refused", arguments: [0, 1, 15, 257])
    func chosenLengths(length: Int) async throws {
        let test = try await TestAgents()
        await #expect(throws: AgentRefusal.badRequest(detail: "a chosen token must have 16 to 256 bytes")) {
            try await test.token(chosen: SecretText(String(repeating: "t", count: length)))
        }
    }

    @Test("A chosen token that is already there is refused")
    func chosenTwice() async throws {
        let test = try await TestAgents()
        let chosen = SecretText("sixteen-bytes-ok")
        _ = try await test.token(chosen: chosen, seed: 1)
        await #expect(throws: AgentRefusal.self) { try await test.token(chosen: chosen, seed: 2) }
    }

    @Test("A store that fails lets nobody in and does not use the token up")
    func failingStore() async throws {
        let test = try await TestAgents()
        let (token, _) = try await test.token()
        test.base.store.failWrites(with: .full(detail: "disk"))
        await #expect(throws: AgentRefusal.store(.full(detail: "disk"))) { try await test.join(token) }
        #expect(test.agents.all.isEmpty)
        test.base.store.failWrites(with: nil)
        #expect(try await test.join(token).serial.isEmpty == false)
    }

    @Test("The embedded agent comes back under one ID, as often as it likes")
    func embedded() async throws {
        let test = try await TestAgents()
        let first = try await test.joinEmbedded()
        let second = try await test.joinEmbedded(seed: 8)
        #expect(first.id == second.id)
        #expect(first.id.path == "/spire/agent/embedded")
        #expect(first.serial != second.serial)
        let agent = try #require(test.agents.agent(first.id))
        #expect(agent.serial == second.serial)
        #expect(agent.canReattest)
        #expect(agent.attestationType == "embedded")
    }

    @Test("A banned embedded agent is refused until it is deleted")
    func bannedEmbedded() async throws {
        let test = try await TestAgents()
        let id = try await test.joinEmbedded().id
        #expect(try await test.agents.ban(id))
        await #expect(throws: AgentRefusal.banned) { try await test.joinEmbedded(seed: 8) }
        #expect(try await test.agents.delete(id))
        #expect(try await test.joinEmbedded(seed: 9).id == id)
    }

    @Test("A ban that comes while the embedded agent attests is not lost")
    func banWhileAttesting() async throws {
        let test = try await TestAgents()
        let id = try await test.joinEmbedded().id
        test.base.store.gate.shut()
        async let attestation = test.joinEmbedded(seed: 8)
        await test.base.store.gate.waitUntilHeld()
        async let ban = test.agents.ban(id)
        // Whichever of the two is written first, nothing may undo the ban.
        await withTaskGroup(of: Void.self) { group in
            group.addTask { test.base.store.gate.open() }
        }
        _ = try await attestation
        #expect(try await ban)
        let stored = try await test.store.loadAgents().map(\.isBanned)
        #expect(test.agents.agent(id)?.isBanned == true)
        #expect(stored == [true])
    }
}

@Suite("Agents that are in")
struct StandingTests {
    @Test("An agent may act with its SVID, and a restart remembers it")
    func authorizes() async throws {
        let (test, svid) = try await joined()
        #expect(try await authorize(svid, by: test.agents).id == svid.id)
        let again = try await AgentRegistrar(issuer: test.base.issuer, store: test.base.store)
        #expect(try await authorize(svid, by: again).serial == svid.serial)
    }

    @Test("An SVID that has ended is refused, at its end already", arguments: [(-1, true), (0, false), (1, false)])
    func ends(offset: TimeInterval, mayAct: Bool) async throws {
        let (test, svid) = try await joined()
        let now = svid.lifetime.validity.upperBound + offset
        if mayAct {
            #expect(try await authorize(svid, by: test.agents, now: now).id == svid.id)
        } else {
            await #expect(throws: AgentRefusal.expired) { try await authorize(svid, by: test.agents, now: now) }
        }
    }

    @Test("Whoever is not attested may not act, and another serial of an agent may not either")
    func strangers() async throws {
        let (test, svid) = try await joined()
        let end = svid.lifetime.validity.upperBound
        await #expect(throws: AgentRefusal.notAttested) {
            try await test.agents.authorize(Given.id("/web"), serial: svid.serial, end: end, now: Given.start)
        }
        await #expect(throws: AgentRefusal.notActive) {
            try await test.agents.authorize(svid.id, serial: "4000", end: end, now: Given.start)
        }
    }

    @Test("After a renewal both SVIDs work until the new one is used, and then only that")
    func renewal() async throws {
        let (test, old) = try await joined()
        let new = try await test.renew(old.id, now: Given.start + 1800)
        #expect(new.serial != old.serial)
        for _ in 0..<2 { #expect(try await authorize(old, by: test.agents).serial == old.serial) }
        #expect(try await authorize(new, by: test.agents).serial == new.serial)
        await #expect(throws: AgentRefusal.notActive) { try await authorize(old, by: test.agents) }
        #expect(try await authorize(new, by: test.agents).serial == new.serial)
        let agent = try #require(test.agents.agent(old.id))
        #expect(agent.serial == new.serial)
        #expect(agent.pendingSerial == nil)
        #expect(agent.expiresAt == new.lifetime.validity.upperBound)
        #expect(try await test.store.loadAgents() == [agent])
    }

    @Test("A renewal whose answer was lost is made good by the next one")
    func lostRenewal() async throws {
        let (test, old) = try await joined()
        let lost = try await test.renew(old.id, now: Given.start + 1800, seed: 31)
        let new = try await test.renew(old.id, now: Given.start + 1900, seed: 32)
        #expect(try await authorize(old, by: test.agents).serial == old.serial)
        #expect(try await authorize(new, by: test.agents).serial == new.serial)
        await #expect(throws: AgentRefusal.notActive) { try await authorize(lost, by: test.agents) }
    }

    @Test("A renewed SVID survives a restart before its first use, and so does the old one")
    func renewalAndRestart() async throws {
        let (test, old) = try await joined()
        let new = try await test.renew(old.id, now: Given.start + 1800)
        let again = try await AgentRegistrar(issuer: test.base.issuer, store: test.base.store)
        #expect(try await authorize(old, by: again).serial == old.serial)
        #expect(try await authorize(new, by: again).serial == new.serial)
    }

    @Test("When a new SVID is first used by many calls at once, all of them pass")
    func concurrentFirstUse() async throws {
        let (test, old) = try await joined()
        let new = try await test.renew(old.id, now: Given.start + 1800)
        test.base.store.gate.shut()
        let outcomes = await withTaskGroup(of: Result<String, any Error>.self) { group in
            for _ in 0..<32 {
                group.addTask {
                    do { return .success(try await authorize(new, by: test.agents).serial) } catch {
                        return .failure(error)
                    }
                }
            }
            group.addTask {
                await test.base.store.gate.waitUntilHeld()
                test.base.store.gate.open()
                return .success("opened")
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.compactMap { try? $0.get() }.filter { $0 == new.serial }.count == 32)
    }

    @Test("A store that fails at the first use of a new SVID leaves the old one good")
    func failingPromotion() async throws {
        let (test, old) = try await joined()
        let new = try await test.renew(old.id, now: Given.start + 1800)
        test.base.store.failWrites(with: .full(detail: "disk"))
        await #expect(throws: AgentRefusal.store(.full(detail: "disk"))) { try await authorize(new, by: test.agents) }
        #expect(try await authorize(old, by: test.agents).serial == old.serial)
        test.base.store.failWrites(with: nil)
        #expect(try await authorize(new, by: test.agents).serial == new.serial)
    }

    @Test("Nobody renews who is not an agent")
    func renewsNobody() async throws {
        let test = try await TestAgents()
        await #expect(throws: AgentRefusal.notAttested) {
            try await test.renew(Given.id("/spire/agent/nobody"), now: Given.start)
        }
    }

    @Test("A banned agent may not act, also after a restart, and its token brings nobody back")
    func bans() async throws {
        let (test, svid) = try await joined()
        #expect(try await test.agents.ban(svid.id))
        await #expect(throws: AgentRefusal.banned) { try await authorize(svid, by: test.agents) }
        let again = try await AgentRegistrar(issuer: test.base.issuer, store: test.base.store)
        await #expect(throws: AgentRefusal.banned) { try await authorize(svid, by: again) }
        #expect(try await test.agents.ban(svid.id), "banning twice is fine")
    }

    @Test("A banned agent with a renewed SVID may not act with either")
    func bansRenewed() async throws {
        let (test, old) = try await joined()
        let new = try await test.renew(old.id, now: Given.start + 1800)
        #expect(try await test.agents.ban(old.id))
        for svid in [old, new] {
            await #expect(throws: AgentRefusal.banned) { try await authorize(svid, by: test.agents) }
        }
    }

    @Test("A deleted agent is not attested any more, and deleting says whether there was one")
    func deletes() async throws {
        let (test, svid) = try await joined()
        #expect(try await test.agents.delete(svid.id))
        #expect(try await !test.agents.delete(svid.id))
        await #expect(throws: AgentRefusal.notAttested) { try await authorize(svid, by: test.agents) }
        #expect(test.agents.all.isEmpty)
        #expect(try await test.store.loadAgents().isEmpty)
    }

    @Test("Banning nobody says so")
    func bansNobody() async throws {
        let test = try await TestAgents()
        #expect(try await !test.agents.ban(Given.id("/spire/agent/nobody")))
    }

    @Test("The version an agent reports is kept, cut to 255 characters, and written only when it changes")
    func versions() async throws {
        let (test, svid) = try await joined()
        let writes = test.base.store.writes
        try await test.agents.note(version: "1.2.3", of: svid.id)
        try await test.agents.note(version: "1.2.3", of: svid.id)
        #expect(test.base.store.writes == writes + 1)
        #expect(test.agents.agent(svid.id)?.version == "1.2.3")
        try await test.agents.note(version: String(repeating: "v", count: 300), of: svid.id)
        #expect(test.agents.agent(svid.id)?.version.count == 255)
    }

    @Test("Agents are listed by ID")
    func lists() async throws {
        let test = try await TestAgents()
        for seed in 1...5 {
            let (token, _) = try await test.token(seed: UInt64(seed))
            _ = try await test.join(token, seed: UInt64(seed) + 100)
        }
        #expect(test.agents.all.count == 5)
        #expect(test.agents.all.map(\.id) == test.agents.all.map(\.id).sorted())
    }

    @Test("Refusals do not tell a used token from one that never was")
    func texts() {
        let refusals: [AgentRefusal] = [
            .notAttested, .banned, .expired, .notActive, .tokenRefused, .methodRefused("x"), .badRequest(detail: "why"),
            .alreadyAttested, .mustReattest, .rolledBack, .unmarked(detail: "m"), .attestation(.init(.refused, "r")),
            .issuance(.keyNotAllowed), .store(.full(detail: "d")),
        ]
        #expect(Set(refusals.map { "\($0)" }).count == refusals.count)
    }

    private func joined() async throws -> (TestAgents, IssuedX509SVID) {
        let test = try await TestAgents()
        let (token, _) = try await test.token()
        return (test, try await test.join(token))
    }
}

/// Calls as the holder of an SVID.
@discardableResult
private func authorize(
    _ svid: IssuedX509SVID, by agents: AgentRegistrar, now: Date = Given.start
) async throws(AgentRefusal) -> AttestedAgent {
    try await agents.authorize(svid.id, serial: svid.serial, end: svid.lifetime.validity.upperBound, now: now)
}

/// An issuer in memory with its agents.
private struct TestAgents {
    let base: TestIssuer
    let agents: AgentRegistrar

    var store: any AgentStore { base.store }

    init() async throws {
        base = try await TestIssuer()
        agents = try await AgentRegistrar(issuer: base.issuer, store: base.store)
    }

    func token(
        lifetime: Duration = .seconds(600), chosen: SecretText? = nil, seed: UInt64 = 3
    ) async throws(AgentRefusal) -> (token: SecretText, record: JoinTokenRecord) {
        let drafted = try agents.draftJoinToken(
            lifetime: lifetime, chosen: chosen, now: Given.start, using: SeededEntropy(seed))
        try await agents.keep(drafted.record)
        return drafted
    }

    func join(
        _ token: SecretText, now: Date = Given.start, seed: UInt64 = 4
    ) async throws(AgentRefusal) -> IssuedX509SVID {
        try await agents.attest(joinToken: token, request: request(), now: now, using: SeededEntropy(seed))
    }

    func joinEmbedded(seed: UInt64 = 5) async throws(AgentRefusal) -> IssuedX509SVID {
        try await agents.attestEmbedded(request: request(), now: Given.start, using: SeededEntropy(seed))
    }

    func renew(_ id: SPIFFEID, now: Date, seed: UInt64 = 6) async throws(AgentRefusal) -> IssuedX509SVID {
        try await agents.renew(id, request: request(), now: now, using: SeededEntropy(seed))
    }

    private func request() throws(AgentRefusal) -> SigningRequest {
        do { return try Given.request() } catch { throw .badRequest(detail: "\(error)") }
    }
}
