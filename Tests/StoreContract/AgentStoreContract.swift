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
            #expect(try await store.deleteAgent(one.id))
            #expect(try await !store.deleteAgent(one.id))
            #expect(try await open().loadAgents() == [other])
        },
        StoreBehaviour("agents do not move the revision") { open in
            let store = try await open()
            try await store.put(try Sample.agent("one"))
            try await store.put(try Sample.token(1))
            #expect(try await store.loadEntries().revision == 0)
        },
    ]

    private static let tokens = [
        StoreBehaviour("a token is found by its digest, also after reopening") { open in
            let store = try await open()
            let token = try Sample.token(7)
            try await store.put(token)
            #expect(try await store.joinToken(digest: token.digest) == token)
            #expect(try await open().joinToken(digest: token.digest) == token)
            #expect(try await store.joinToken(digest: try Sample.token(8).digest) == nil)
        },
        StoreBehaviour("a second token of the same digest is refused, and the first one stays") { open in
            let store = try await open()
            let token = try Sample.token(7)
            try await store.put(token)
            await #expect(throws: StoreError.self) {
                try await store.put(try Sample.token(7, expiresAt: Sample.start + 9999))
            }
            #expect(try await store.joinToken(digest: token.digest) == token)
        },
        StoreBehaviour("redeeming a token uses it up and writes its agent") { open in
            let store = try await open()
            let (token, agent) = (try Sample.token(1), try Sample.agent("one"))
            try await store.put(token)
            #expect(try await store.redeem(tokenDigest: token.digest, for: agent))
            let reopened = try await open()
            #expect(try await reopened.joinToken(digest: token.digest) == nil)
            #expect(try await reopened.loadAgents() == [agent])
        },
        StoreBehaviour("redeeming a token that is not there writes nothing") { open in
            let store = try await open()
            let (token, agent) = (try Sample.token(1), try Sample.agent("one"))
            try await store.put(token)
            #expect(try await store.redeem(tokenDigest: token.digest, for: agent))
            #expect(try await !store.redeem(tokenDigest: token.digest, for: try Sample.agent("late")))
            #expect(try await !store.redeem(tokenDigest: [1, 2, 3], for: try Sample.agent("stranger")))
            #expect(try await store.loadAgents() == [agent])
        },
        StoreBehaviour("of many who redeem one token at once exactly one wins, and only its agent is written") { open in
            let store = try await open()
            let token = try Sample.token(1)
            try await store.put(token)
            let winners = try await withThrowingTaskGroup(of: String?.self) { group in
                for number in 0..<32 {
                    group.addTask {
                        let agent = try Sample.agent("racer", serial: "40\(number)")
                        return try await store.redeem(tokenDigest: token.digest, for: agent) ? agent.serial : nil
                    }
                }
                return try await group.reduce(into: [String]()) { if let serial = $1 { $0.append(serial) } }
            }
            #expect(winners.count == 1)
            #expect(try await store.loadAgents().map(\.serial) == winners)
        },
        StoreBehaviour("pruning drops tokens that ended before the instant, and no others") { open in
            let store = try await open()
            let over = try Sample.token(1, expiresAt: Sample.start - 1)
            let now = try Sample.token(2, expiresAt: Sample.start)
            let later = try Sample.token(3, expiresAt: Sample.start + 1)
            for token in [over, now, later] { try await store.put(token) }
            try await store.pruneTokens(expiredBefore: Sample.start)
            #expect(try await store.joinToken(digest: over.digest) == nil)
            #expect(try await store.joinToken(digest: now.digest) == now)
            #expect(try await store.joinToken(digest: later.digest) == later)
        },
    ]
}
