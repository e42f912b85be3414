internal import Foundation
internal import IssuerDomain
internal import Testing

/// What every ``AgentStore`` must show.
package enum AgentStoreContract {
    package static let behaviours = agents + tokens

    private static let agents = [
        StoreBehaviour("an empty store knows no agent and no token") { open in
            let store = try await open()
            #expect(try await store.loadAgents().isEmpty)
            #expect(try await store.joinToken(digest: [UInt8](repeating: 1, count: 32)) == nil)
        },
        StoreBehaviour("every field of an agent comes back, also after reopening") { open in
            let agents = [try Sample.agent("plain"), try Sample.fullAgent()]
            let store = try await open()
            for agent in agents { try await store.put(agent) }
            #expect(try await Set(store.loadAgents()) == Set(agents))
            #expect(try await Set(open().loadAgents()) == Set(agents))
        },
        StoreBehaviour("putting an agent again replaces it") { open in
            let store = try await open()
            var agent = try Sample.fullAgent()
            try await store.put(agent)
            agent.serial = "40dd"
            agent.pendingSerial = nil
            agent.isBanned = false
            try await store.put(agent)
            #expect(try await open().loadAgents() == [agent])
        },
        StoreBehaviour("deleting an agent says whether there was one") { open in
            let store = try await open()
            let (one, other) = (try Sample.agent("one"), try Sample.agent("other"))
            try await store.put(one)
            try await store.put(other)
            #expect(try await store.deleteAgent(one.id) != nil)
            #expect(try await store.deleteAgent(one.id) == nil)
            #expect(try await open().loadAgents() == [other])
        },
        StoreBehaviour("contacts are noted of the agents that are there, and change nothing else") { open in
            let store = try await open()
            var (one, other) = (try Sample.agent("one"), try Sample.fullAgent())
            for agent in [one, other] { try await store.put(agent) }
            let stranger = try Sample.agent("stranger").id
            try await store.noteContacts(
                [(one.id, Sample.start + 1), (other.id, Sample.start + 2), (stranger, Sample.start)])
            (one.lastSeen, other.lastSeen) = (Sample.start + 1, Sample.start + 2)
            #expect(try await Set(open().loadAgents()) == [one, other])
        },
        StoreBehaviour("an ID is abandoned when no agent has it and no unused token leads to it") { open in
            let store = try await open()
            #expect(try await store.isUnused())
            let (unused, used) = (try Sample.token(1), try Sample.token(2))
            for token in [unused, used] { _ = try await store.put(token) }
            #expect(try await !store.isUnused())
            let (agent, stranger) = (try Sample.agent("one"), try Sample.agent("stranger"))
            let ids: Set = [unused.agentID, used.agentID, agent.id, stranger.id]
            #expect(try await store.abandoned(ids) == [agent.id, stranger.id])
            _ = try await store.redeem(tokenDigest: used.digest, as: Sample.redemption(5), for: agent)
            #expect(try await store.abandoned(ids) == [used.agentID, stranger.id])
            #expect(try await store.abandoned([]).isEmpty)
            #expect(try await !open().isUnused())
        },
        StoreBehaviour("agents do not move the revision") { open in
            let store = try await open()
            try await store.put(try Sample.agent("one"))
            _ = try await store.put(try Sample.token(1))
            #expect(try await store.loadEntries().revision == 0)
        },
    ]

    private static let tokens = [
        StoreBehaviour("a token is found by its digest, also after reopening") { open in
            let store = try await open()
            let token = try Sample.token(7)
            #expect(try await store.put(token))
            #expect(try await store.joinToken(digest: token.digest) == token)
            #expect(try await open().joinToken(digest: token.digest) == token)
            #expect(try await store.joinToken(digest: try Sample.token(8).digest) == nil)
        },
        StoreBehaviour("a second token of the same digest is refused, and the first one stays") { open in
            let store = try await open()
            let token = try Sample.token(7)
            _ = try await store.put(token)
            #expect(try await !store.put(try Sample.token(7, expiresAt: Sample.start + 9999)))
            #expect(try await store.joinToken(digest: token.digest) == token)
        },
        StoreBehaviour("redeeming a token uses it up, writes its agent and keeps who used it") { open in
            let store = try await open()
            let (token, agent) = (try Sample.token(1), try Sample.agent("one"))
            _ = try await store.put(token)
            #expect(try await store.redeem(tokenDigest: token.digest, as: Sample.redemption(5), for: agent) != nil)
            let reopened = try await open()
            #expect(try await reopened.joinToken(digest: token.digest)?.redemption == Sample.redemption(5))
            #expect(try await reopened.loadAgents() == [agent])
        },
        StoreBehaviour("redeeming a token that is used or not there writes nothing") { open in
            let store = try await open()
            let (token, agent) = (try Sample.token(1), try Sample.agent("one"))
            _ = try await store.put(token)
            #expect(try await store.redeem(tokenDigest: token.digest, as: Sample.redemption(5), for: agent) != nil)
            let late = try await store.redeem(
                tokenDigest: token.digest, as: Sample.redemption(6), for: try Sample.agent("late"))
            #expect(late == nil)
            let stranger = try await store.redeem(
                tokenDigest: [1, 2, 3], as: Sample.redemption(7), for: try Sample.agent("stranger"))
            #expect(stranger == nil)
            #expect(try await store.loadAgents() == [agent])
            #expect(try await store.joinToken(digest: token.digest)?.redemption == Sample.redemption(5))
        },
        StoreBehaviour("of many who redeem one token at once exactly one wins, and only its agent is written") { open in
            let store = try await open()
            let token = try Sample.token(1)
            _ = try await store.put(token)
            let winners = try await withThrowingTaskGroup(of: String?.self) { group in
                for number in 0..<32 {
                    group.addTask {
                        let agent = try Sample.agent("racer", serial: "40\(number)")
                        let revision = try await store.redeem(
                            tokenDigest: token.digest, as: Sample.redemption(UInt8(number)), for: agent)
                        return revision == nil ? nil : agent.serial
                    }
                }
                return try await group.reduce(into: [String]()) { if let serial = $1 { $0.append(serial) } }
            }
            #expect(winners.count == 1)
            #expect(try await store.loadAgents().map(\.serial) == winners)
        },
        StoreBehaviour("pruning drops tokens that ended before the instant, and keeps those used of late") { open in
            let store = try await open()
            let over = try Sample.token(1, expiresAt: Sample.start - 1)
            let now = try Sample.token(2, expiresAt: Sample.start)
            let later = try Sample.token(3, expiresAt: Sample.start + 1)
            let (usedLong, usedOfLate) = (
                try Sample.token(4, expiresAt: Sample.start - 1), try Sample.token(5, expiresAt: Sample.start - 1)
            )
            for token in [over, now, later, usedLong, usedOfLate] { _ = try await store.put(token) }
            for (token, used) in [(usedLong, Sample.start - 700), (usedOfLate, Sample.start - 500)] {
                let redemption = JoinTokenRedemption(keyDigest: [1], at: used)
                let agent = try Sample.agent("user\(token.digest[0])")
                #expect(try await store.redeem(tokenDigest: token.digest, as: redemption, for: agent) != nil)
            }
            try await store.pruneTokens(expiredBefore: Sample.start, redeemedBefore: Sample.start - 600)
            #expect(try await store.joinToken(digest: over.digest) == nil)
            #expect(try await store.joinToken(digest: now.digest) == now)
            #expect(try await store.joinToken(digest: later.digest) == later)
            #expect(try await store.joinToken(digest: usedLong.digest) == nil)
            #expect(try await store.joinToken(digest: usedOfLate.digest)?.redemption != nil)
        },
        StoreBehaviour("each use of a token, ban and eviction raises the security revision, and nothing else does") {
            open in
            let store = try await open()
            #expect(try await store.securityRevision() == 0)
            let (token, agent) = (try Sample.token(1), try Sample.agent("one"))
            _ = try await store.put(token)
            try await store.put(agent)
            #expect(try await store.securityRevision() == 0)
            #expect(try await store.redeem(tokenDigest: token.digest, as: Sample.redemption(5), for: agent) == 1)
            #expect(try await store.redeem(tokenDigest: token.digest, as: Sample.redemption(5), for: agent) == nil)
            #expect(try await store.ban(agent) == 2)
            #expect(try await store.deleteAgent(agent.id) == 3)
            #expect(try await store.deleteAgent(agent.id) == nil)
            #expect(try await open().securityRevision() == 3)
        },
        StoreBehaviour("accepting a rollback drops every token and goes on from the revision given") { open in
            let store = try await open()
            for byte in 1...3 { _ = try await store.put(try Sample.token(UInt8(byte))) }
            #expect(try await store.acceptRollback(to: 40) == 3)
            #expect(try await store.joinToken(digest: try Sample.token(1).digest) == nil)
            #expect(try await open().securityRevision() == 40)
            #expect(try await store.acceptRollback(to: 7) == 0)
            #expect(try await store.securityRevision() == 40)
        },
    ]
}
