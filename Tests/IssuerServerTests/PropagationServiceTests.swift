import GRPCCore
import IssuerAPIProtos
import IssuerServer
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing

@Suite("How far a change has come", .timeLimit(.minutes(2)))
struct PropagationServiceTests {
    @Test("An entry that is not there cannot be waited for")
    func unknownEntry() async throws {
        try await TestServer.run { server in
            try await expectCode(.notFound) {
                _ = try await server.admin.propagation.awaitEntry(.with { $0.entryID = "none" })
            }
        }
    }

    @Test("Without a follower there is nothing to wait for, and the agents concerned are named")
    func nobodyFollows() async throws {
        try await TestServer.run { server in
            let (one, other) = (try await server.join(), try await server.join())
            let entry = try #require(try await server.create([.example("/a", parent: one.agentID)]).first)
            let answer = try await arrival(of: entry.id, by: server, timeout: 60_000)
            #expect(answer.complete)
            #expect(answer.agents.map(\.spiffeID) == ["\(one.id)"])
            #expect(answer.agents.allSatisfy { !$0.following && !$0.applied })
            #expect(!answer.agents.contains { $0.spiffeID == "\(other.id)" })
        }
    }

    @Test("A banned agent is not waited for")
    func banned() async throws {
        try await TestServer.run { server in
            let joined = try await server.join()
            let entry = try #require(try await server.create([.example("/a", parent: joined.agentID)]).first)
            _ = try await server.admin.agents.banAgent(.with { $0.id = joined.agentID })
            let answer = try await arrival(of: entry.id, by: server, timeout: 60_000)
            #expect(answer.complete)
            #expect(answer.agents.isEmpty)
        }
    }

    @Test("A follower hears each revision, and an entry has arrived when it says so")
    func arrives() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            try await follow(server) { announced, apply in
                let first = try #require(await announced.next())
                apply(first)
                let entry = try #require(try await server.create([.example("/a", parent: joined.agentID)]).first)
                let second = try #require(await announced.next())
                #expect(second == first + 1)

                let early = try await arrival(of: entry.id, by: server, timeout: 0)
                #expect(!early.complete)
                #expect(early.agents.map(\.following) == [true])
                #expect(early.agents.map(\.applied) == [false])

                async let late = arrival(of: entry.id, by: server, timeout: 60_000)
                apply(second)
                let answer = try await late
                #expect(answer.complete)
                #expect(answer.agents.map(\.spiffeID) == ["\(joined.id)"])
                #expect(answer.agents.map(\.applied) == [true])
            }
        }
    }

    @Test("An agent that goes away is no longer waited for")
    func goesAway() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let entry = try #require(try await server.create([.example("/a", parent: joined.agentID)]).first)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                try await follow(server) { announced, _ in
                    _ = await announced.next()
                    group.addTask { try await arrival(of: entry.id, by: server, timeout: 60_000).complete }
                }
                #expect(try await group.next() == true)
            }
        }
    }

    @Test("A follower that has been banned hears no more")
    func bannedFollower() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let found = try await code {
                try await follow(server) { announced, _ in
                    _ = await announced.next()
                    _ = try await server.admin.agents.banAgent(.with { $0.id = joined.agentID })
                    try await server.create([.example("/a")])
                    #expect(await announced.next() == nil)
                }
            }
            #expect(found == .permissionDenied)
        }
    }

    @Test("Every follower hears of a change of any entry")
    func manyFollowers() async throws {
        try await TestServer.run { server in
            _ = try await server.joinAndPresent()
            try await follow(server) { one, _ in
                let first = await one.next()
                try await follow(server) { [first] other, _ in
                    #expect(await other.next() == first)
                    try await server.create([.example("/a"), .example("/b")])
                    #expect(await other.next() == first.map { $0 + 2 })
                }
                #expect(await one.next() == first.map { $0 + 2 })
            }
        }
    }

    private func arrival(
        of entryID: String, by server: TestServer, timeout: UInt32
    ) async throws -> Mintmark_V1_AwaitEntryResponse {
        try await server.admin.propagation.awaitEntry(
            .with {
                $0.entryID = entryID
                $0.timeoutMs = timeout
            })
    }

    /// Follows for as long as a body runs, which gets what is announced and a way to acknowledge it.
    private func follow(
        _ server: TestServer,
        _ body: (inout AsyncStream<UInt64>.Iterator, @escaping @Sendable (UInt64) -> Void) async throws -> Void
    ) async throws {
        let (announced, announce) = AsyncStream.makeStream(of: UInt64.self)
        let (applied, apply) = AsyncStream.makeStream(of: UInt64.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { announce.finish() }
                try await server.node.propagation.follow { writer in
                    for await revision in applied { try await writer.write(.with { $0.appliedRevision = revision }) }
                } onResponse: { response in
                    for try await message in response.messages { announce.yield(message.revision) }
                }
            }
            var revisions = announced.makeAsyncIterator()
            try await body(&revisions) { apply.yield($0) }
            apply.finish()
            try await group.waitForAll()
        }
    }
}
