import Bootstrap
import Crypto
import Foundation
import IssuerAPIProtos
import IssuerDomain
import IssuerServer
import Logging
import Platform
import SPIFFE
import Synchronization
import SwiftProtobuf
import TestSupport
import Testing
import X509

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

    @Test("A clock before the authorities is warned of, and the issuer starts with others")
    func clockBefore() async throws {
        try await TemporaryFolder.use { folder in
            try await begin(in: folder)
            try await TestServer.run(in: folder, clock: ManualClock(TestServer.start - 3600)) { server in
                #expect(server.issuer.bundle.x509.authorities.count == 2)
                #expect(server.logs.messages(from: .warning).contains { $0.hasPrefix("clock is before") })
                _ = try await server.joinAndPresent()
            }
        }
    }

    @Test("An upstream that is away for longer than the server's own SVID lives keeps nothing else from its turn")
    func upstreamAway() async throws {
        try await TemporaryFolder.use { folder in
            let ca = try TestCA { $0.validity = TestServer.start - 60..<TestServer.start + 400 * 86_400 }
            let (certificates, key) = ("\(folder)/ca.pem", "\(folder)/ca.key")
            let der = Data(try ca.certificate.derBytes())
            let lines = der.base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
            try "-----BEGIN CERTIFICATE-----\n\(lines)\n-----END CERTIFICATE-----\n".write(
                toFile: certificates, atomically: true, encoding: .utf8)
            try ca.key.pemRepresentation.write(toFile: key, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
            let clock = ManualClock(TestServer.start)
            try await TestServer.run(
                in: folder, clock: clock, upstream: .disk(certificates: certificates, key: key, roots: nil)
            ) {
                server in
                try FileManager.default.removeItem(atPath: certificates)
                let token = try await server.admin.agents.createJoinToken(.with { $0.ttl = 60 })
                #expect(!token.value.isEmpty)
                // Past half of the authority's life, and past the end of the SVID that it began with.
                clock.advance(by: .seconds(13 * 3600))
                let renewed = clock.now + 60
                for _ in 0..<100 {
                    let chain = try await server.admin.debug.getInfo(.init()).svidChain
                    if let end = chain.first?.expiresAt, end > renewed.unixSeconds { break }
                    try await Task.sleep(for: .milliseconds(50))
                    clock.advance(by: .seconds(10))
                }
                let chain = try await server.admin.debug.getInfo(.init()).svidChain
                #expect(try #require(chain.first).expiresAt > renewed.unixSeconds)
                let failed = server.logs.records.filter { $0.message == "upkeep failed and will be tried again" }
                #expect(Set(failed.compactMap { $0.metadata["upkeep.step"]?.description }) == ["authorities"])
            }
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
