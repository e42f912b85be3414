import Bootstrap
import Foundation
import IssuerAPIProtos
import IssuerDomain
import IssuerServer
import Platform
import SPIFFE
import Synchronization
import SwiftProtobuf
import TestSupport
import Testing

@Suite("Starting an issuer")
struct IssuerStartTests {
    @Test("A restart keeps entries, agents, tokens, keys and trust")
    func restart() async throws {
        try await TemporaryFolder.use { folder in
            let clock = ManualClock(TestServer.start)
            let kept = Mutex<Kept?>(nil)
            try await TestServer.run(in: folder, clock: clock) { server in
                let before = Kept(
                    entry: try #require(try await server.create([.example("/web")]).first),
                    joined: try await server.join(),
                    token: try await server.admin.agents.createJoinToken(.with { $0.ttl = 600 }).value,
                    bundle: server.issuer.bundle)
                kept.withLock { $0 = before }
            }
            let before = try #require(kept.withLock { $0 })
            clock.advance(by: .seconds(60))
            try await TestServer.run(in: folder, clock: clock) { server in
                #expect(server.issuer.bundle == before.bundle)
                #expect(try await server.admin.entries.getEntry(.with { $0.id = before.entry.id }) == before.entry)
                try await server.present(before.joined)
                #expect(try await server.node.entries.getAuthorizedEntries(.init()).entries.isEmpty)
                let payload = Data(before.token.utf8)
                #expect(try await server.node.attest("join_token", payload: payload).chain.count == 1)
            }
        }
    }

    @Test("The admin socket is its owner's alone, and is gone after the end")
    func socket() async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/admin.sock"
            try await TestServer.run(in: folder, clock: ManualClock(TestServer.start)) { server in
                let attributes = try FileManager.default.attributesOfItem(atPath: path)
                #expect(attributes[.posixPermissions] as? Int == 0o600)
                #expect(attributes[.type] as? FileAttributeType == .typeSocket)
            }
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test("A second issuer on the same socket is refused while the first one serves")
    func takenSocket() async throws {
        try await TemporaryFolder.use { folder in
            let clock = ManualClock(TestServer.start)
            try await TestServer.run(in: folder, clock: clock) { server in
                let failure = try await failure(in: folder, clock: clock)
                #expect(failure.status == .cannotCreate)
                let count = try await server.admin.entries.countEntries(.init()).count
                #expect(count == 0, "the first one still serves")
            }
        }
    }

    @Test("A clock before the authorities stops the start, with the clock as the thing to look at")
    func clockBefore() async throws {
        try await TemporaryFolder.use { folder in
            try await begin(in: folder)
            let failure = try await failure(in: folder, clock: ManualClock(TestServer.start - 3600))
            #expect(failure.status == .refused)
            #expect(failure.message.contains("clock"))
            #expect(failure.hint?.contains("timedatectl") == true)
        }
    }

    @Test("Another trust domain stops the start, and names the one that the state is of")
    func otherTrustDomain() async throws {
        try await TemporaryFolder.use { folder in
            try await begin(in: folder)
            let failure = try await failure(in: folder, trustDomain: "other.example")
            #expect(failure.status == .configuration)
            #expect(failure.hint?.contains("example.org") == true)
        }
    }

    @Test("Missing keys stop the start instead of making a new authority")
    func missingKeys() async throws {
        try await TemporaryFolder.use { folder in
            try await begin(in: folder)
            try FileManager.default.removeItem(atPath: "\(folder)/keys")
            let failure = try await failure(in: folder)
            #expect(failure.status == .refused)
            #expect(failure.hint?.contains("\(folder)/keys") == true)
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/keys").isEmpty)
        }
    }

    @Test("Damaged keys stop the start, and stay as they are")
    func damagedKeys() async throws {
        try await TemporaryFolder.use { folder in
            try await begin(in: folder)
            let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/keys")
            #expect(names.count == 2)
            for name in names { try Data([1, 2, 3]).write(to: URL(fileURLWithPath: "\(folder)/keys/\(name)")) }
            #expect(try await failure(in: folder).status == .refused)
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/keys").sorted() == names.sorted())
        }
    }

    @Test("A database that is none stops the start, and stays as it is")
    func corruptDatabase() async throws {
        try await TemporaryFolder.use { folder in
            let garbage = Data(repeating: 0x5A, count: 5000)
            try garbage.write(to: URL(fileURLWithPath: "\(folder)/store.db"))
            let failure = try await failure(in: folder)
            #expect(failure.status == .refused)
            #expect(failure.message.contains("corrupt"))
            #expect(failure.hint?.contains("backup") == true)
            #expect(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/store.db")) == garbage)
        }
    }

    @Test("A place where no database can be stops the start")
    func noPlace() async throws {
        try await TemporaryFolder.use { folder in
            try FileManager.default.createDirectory(atPath: "\(folder)/store.db", withIntermediateDirectories: false)
            #expect(try await failure(in: folder).status == .cannotCreate)
        }
    }

    /// What must outlive a restart.
    private struct Kept: Sendable {
        let entry: Spire_Api_Types_Entry
        let joined: Joined
        let token: String
        let bundle: TrustBundle
    }

    /// Starts an issuer once, so that there is a state to find.
    private func begin(in folder: String) async throws {
        let logs = LogCollector()
        let issuer = try await TestServer.open(folder, clock: ManualClock(TestServer.start), logger: logs.logger())
        issuer.close()
    }

    private func failure(
        in folder: String, trustDomain: String = "example.org", clock: ManualClock = ManualClock(TestServer.start)
    ) async throws -> Failure {
        let logs = LogCollector()
        let failure = await #expect(throws: Failure.self) {
            try await TestServer.open(folder, trustDomain: trustDomain, clock: clock, logger: logs.logger()).close()
        }
        return try #require(failure)
    }
}
