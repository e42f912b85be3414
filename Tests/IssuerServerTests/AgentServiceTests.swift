import Crypto
import Foundation
import GRPCCore
import IssuerAPIProtos
import IssuerServer
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing

@Suite("The agent service")
struct AgentServiceTests {
    @Test("A join token lets a node in once, and its SVID works at once")
    func joins() async throws {
        try await TestServer.run { server in
            let token = try await server.admin.agents.createJoinToken(.with { $0.ttl = 600 })
            #expect(token.expiresAt == 1_800_000_600)
            let joined = try await server.node.attest("join_token", payload: Data(token.value.utf8))
            #expect(joined.id.path.hasPrefix("/spire/agent/join_token/"))
            #expect(!joined.id.path.contains(token.value))
            #expect(!joined.canReattest)
            #expect(joined.chain.count == 1)
            try await server.present(joined)
            #expect(try await server.node.entries.getAuthorizedEntries(.init()).entries.isEmpty)
            try await expectCode(.invalidArgument) {
                _ = try await server.node.attest("join_token", payload: Data(token.value.utf8))
            }
        }
    }

    @Test("Of many nodes that use one token at once, exactly one gets in")
    func race() async throws {
        try await TestServer.run { server in
            let token = try await server.admin.agents.createJoinToken(.with { $0.ttl = 600 })
            let codes = try await withThrowingTaskGroup(of: RPCError.Code?.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        try await code {
                            _ = try await server.node.attest("join_token", payload: Data(token.value.utf8))
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(codes.count == 16)
            #expect(codes.count { $0 == nil } == 1)
            #expect(codes.count { $0 == .invalidArgument } == 15)
            #expect(try await server.admin.agents.countAgents(.init()).count == 1)
        }
    }

    @Test("A used, an ended and an unknown token are refused in the same words")
    func sameWords() async throws {
        try await TestServer.run { server in
            let used = try await server.admin.agents.createJoinToken(.with { $0.ttl = 600 })
            let ended = try await server.admin.agents.createJoinToken(.with { $0.ttl = 60 })
            _ = try await server.node.attest("join_token", payload: Data(used.value.utf8))
            server.clock.advance(by: .seconds(60))
            var errors: [RPCError] = []
            for value in [used.value, ended.value, "never-made-by-anyone", ""] {
                do {
                    _ = try await server.node.attest("join_token", payload: Data(value.utf8))
                } catch let error as RPCError { errors.append(error) }
            }
            do {
                _ = try await server.node.attest("join_token", payload: Data([0xFF, 0xFE]))
            } catch let error as RPCError { errors.append(error) }
            #expect(errors.count == 5)
            #expect(Set(errors.map(\.message)).count == 1)
            #expect(errors.allSatisfy { $0.code == .invalidArgument })
        }
    }

    @Test(
        "A token may be chosen, but not without a lifetime or too short",
        arguments: [
            (ttl: 60, token: "a-token-of-my-choice", code: nil), (0, "a-token-of-my-choice", .invalidArgument),
            (-1, "", .invalidArgument), (60, "short", .invalidArgument), (Int32.max, "", .invalidArgument),
        ] as [(ttl: Int32, token: String, code: RPCError.Code?)])
    func chosenTokens(ttl: Int32, token: String, code expected: RPCError.Code?) async throws {
        try await TestServer.run { server in
            let found = try await code {
                let made = try await server.admin.agents.createJoinToken(
                    .with {
                        $0.ttl = ttl
                        $0.token = token
                    })
                #expect(made.value == token)
            }
            #expect(found == expected)
        }
    }

    @Test("A chosen token is refused while there is one of the same text, and in other words than a broken store")
    func chosenTwice() async throws {
        try await TestServer.run { server in
            let choose = { @Sendable in
                _ = try await server.admin.agents.createJoinToken(
                    .with { ($0.ttl, $0.token) = (60, "a-token-of-my-choice") })
            }
            try await expectCode(nil, of: choose)
            try await expectCode(.alreadyExists, of: choose)
        }
    }

    @Test("An alias goes with the agent that is evicted, and with a token that ended unused; others stay")
    func aliasesEnd() async throws {
        try await TestServer.run { server in
            let cluster = try SPIFFEID("spiffe://example.org/cluster/east")
            let evicted = try await server.join(alias: cluster)
            _ = try await server.join(alias: cluster)
            _ = try await server.admin.agents.createJoinToken(.with { ($0.ttl, $0.agentID) = (60, cluster.onWire) })
            try await server.create([.example("/web", parent: evicted.agentID)])
            #expect(try await server.entryPaths() == ["/cluster/east", "/cluster/east", "/cluster/east", "/web"])
            _ = try await server.admin.agents.deleteAgent(.with { $0.id = evicted.agentID })
            #expect(try await server.entryPaths() == ["/cluster/east", "/cluster/east", "/web"])
            server.clock.advance(by: .seconds(61))
            let deadline = ContinuousClock.now + .seconds(10)
            while try await server.entryPaths().count != 2, ContinuousClock.now < deadline {
                server.clock.advance(by: .seconds(10))
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(try await server.entryPaths() == ["/cluster/east", "/web"])
        }
    }

    @Test("A token with an alias gives its agent the entries under the alias")
    func alias() async throws {
        try await TestServer.run { server in
            let cluster = try SPIFFEID("spiffe://example.org/cluster/east")
            let joined = try await server.join(alias: cluster)
            try await server.present(joined)
            try await server.create([.example("/web", parent: cluster.onWire)])
            let entries = try await server.node.entries.getAuthorizedEntries(.init()).entries
            #expect(Set(entries.map(\.spiffeID.path)) == ["/cluster/east", "/web"])
            let alias = try #require(entries.first { $0.spiffeID.path == "/cluster/east" })
            #expect(alias.parentID == joined.agentID)
            #expect(alias.selectors.map(\.type) == ["spiffe_id"])
        }
    }

    @Test(
        "An alias in another trust domain or under /spire/ is refused",
        arguments: [
            "spiffe://other.example/cluster", "spiffe://example.org/spire/agent/x", "spiffe://example.org",
        ])
    func badAlias(text: String) async throws {
        try await TestServer.run { server in
            let alias = try SPIFFEID(text)
            try await expectCode(.invalidArgument) {
                _ = try await server.admin.agents.createJoinToken(
                    .with {
                        $0.ttl = 60
                        $0.token = "a-token-of-my-choice"
                        $0.agentID = alias.onWire
                    })
            }
            try await expectCode(.invalidArgument, "no token without its alias") {
                _ = try await server.node.attest("join_token", payload: Data("a-token-of-my-choice".utf8))
            }
            #expect(try await server.admin.entries.countEntries(.init()).count == 0)
        }
    }

    @Test("Methods that this issuer does not know are refused", arguments: ["k8s_psat", "x509pop", "JOIN_TOKEN"])
    func unknownMethods(type: String) async throws {
        try await TestServer.run { server in
            let payload = Data("x".utf8)
            try await expectCode(.failedPrecondition) { _ = try await server.node.attest(type, payload: payload) }
            try await expectCode(.invalidArgument) { _ = try await server.node.attest("", payload: payload) }
        }
    }

    @Test("The embedded agent may attest from within the process, and from nowhere else")
    func embedded() async throws {
        try await TestServer.run { server in
            let first = try await server.node.attest("embedded", payload: Data())
            #expect(first.canReattest)
            #expect(first.id.path == "/spire/agent/embedded")
            let second = try await server.node.attest("embedded", payload: Data())
            #expect(second.id == first.id)
            try await expectCode(.failedPrecondition) { _ = try await server.admin.attest("embedded", payload: Data()) }
        }
    }

    @Test("Attestation without data or with a broken request is refused, and uses no token up")
    func brokenRequests() async throws {
        try await TestServer.run { server in
            let token = try await server.admin.agents.createJoinToken(.with { $0.ttl = 600 })
            let payload = Data(token.value.utf8)
            for csr in [[], [0x30, 0x00], [UInt8](repeating: 0x30, count: 17 << 10)] as [[UInt8]] {
                let found = try await code {
                    _ = try await server.node.attest("join_token", payload: payload, csr: csr)
                }
                #expect(found == .invalidArgument)
            }
            try await expectCode(.invalidArgument) { _ = try await server.node.attest(nil) }
            try await expectCode(.invalidArgument) { _ = try await server.node.attest(.init()) }
            let answer = Spire_Api_Server_Agent_V1_AttestAgentRequest.with { $0.challengeResponse = Data([1]) }
            try await expectCode(.invalidArgument) { _ = try await server.node.attest(answer) }
            #expect(try await server.node.attest("join_token", payload: payload).chain.count == 1)
        }
    }

    @Test("After a renewal both SVIDs work until the new one is used")
    func renewal() async throws {
        try await TestServer.run { server in
            let old = try await server.joinAndPresent()
            server.clock.advance(by: .seconds(1800))
            let csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
            let renewed = try await server.node.agents.renewAgent(
                .with { $0.params = .with { $0.csr = Data(csr) } }
            ).svid
            #expect(renewed.id == old.agentID)
            #expect(renewed.expiresAt == 1_800_012_600)
            let new = Joined(id: old.id, chain: renewed.certChain, canReattest: false)
            let call = { @Sendable in _ = try await server.node.entries.getAuthorizedEntries(.init()) }
            try await expectCode(nil, of: call)
            try await server.present(new)
            try await expectCode(nil, of: call)
            try await server.present(old)
            try await expectCode(.permissionDenied, of: call)
            try await server.present(new)
            try await expectCode(nil, of: call)
        }
    }

    @Test("Agents are shown, filtered, masked and paged")
    func lists() async throws {
        try await TestServer.run { server in
            var joined: [Joined] = []
            for _ in 0..<5 { joined.append(try await server.join()) }
            let embedded = try await server.node.attest("embedded", payload: Data())
            try await server.present(joined[0])
            _ = try await server.node.agents.postStatus(.with { $0.agentVersion = "9.8.7" })
            _ = try await server.admin.agents.banAgent(.with { $0.id = joined[1].agentID })

            #expect(try await server.admin.agents.countAgents(.init()).count == 6)
            #expect(
                try await server.admin.agents.countAgents(
                    .with { $0.filter.byAttestationType = "join_token" }
                ).count == 5)
            let banned = try await server.admin.agents.listAgents(
                .with { $0.filter.byBanned = .with { $0.value = true } })
            #expect(banned.agents.map(\.id) == [joined[1].agentID])
            let reattestable = try await server.admin.agents.listAgents(
                .with { $0.filter.byCanReattest = .with { $0.value = true } })
            #expect(reattestable.agents.map(\.id) == [embedded.agentID])
            let ending = try await server.admin.agents.countAgents(
                .with { $0.filter.byExpiresBefore = "2027-01-15T11:00:00Z" })
            #expect(ending.count == 0, "all of them end at eleven, not before")
            let later = try await server.admin.agents.countAgents(
                .with { $0.filter.byExpiresBefore = "2027-01-15T11:00:01Z" })
            #expect(later.count == 6)
            for (text, count) in [
                ("2027-01-15 11:00:00 +0000 +00", 0), ("2027-01-15 11:00:01 +0000 +00", 6),
                ("2027-01-15 12:00:01 +0100 +01", 6), ("2027-01-15 12:00:00 +0100 +01", 0),
                ("2027-01-15 05:30:01 -0530 -05", 6), ("2027-01-15 05:30:00 -0530 -05", 0),
                ("2027-01-15T12:00:01+01:00", 6), ("2027-01-15T12:00:00+01:00", 0),
            ] {
                let found = try await server.admin.agents.countAgents(.with { $0.filter.byExpiresBefore = text })
                #expect(found.count == Int32(count), "\(text)")
            }

            var (pages, seen) = (0, [Spire_Api_Types_SPIFFEID]())
            var token = ""
            repeat {
                let page = try await server.admin.agents.listAgents(
                    .with { [token] in
                        $0.pageSize = 4
                        $0.pageToken = token
                        $0.outputMask = .with { $0.agentVersion = true }
                    })
                seen += page.agents.map(\.id)
                #expect(page.agents.allSatisfy { $0.attestationType.isEmpty && $0.x509SvidSerialNumber.isEmpty })
                token = page.nextPageToken
                pages += 1
            } while !token.isEmpty && pages < 10
            #expect(pages == 2)
            #expect(Set(seen) == Set(joined.map(\.agentID) + [embedded.agentID]))
            #expect(seen.count == 6)

            let whole = try await server.admin.agents.getAgent(.with { $0.id = joined[0].agentID })
            #expect(whole.agentVersion == "9.8.7")
            #expect(whole.attestationType == "join_token")
            #expect(whole.x509SvidExpiresAt == 1_800_010_800)
            #expect(whole.x509SvidSerialNumber.allSatisfy { $0.isNumber })
            #expect(whole.x509SvidSerialNumber.count > 30, "128 bits, in decimal")
            #expect(!whole.banned)
        }
    }

    @Test("A filter that cannot be read, or an agent that is not there, is said to be so")
    func mistakes() async throws {
        try await TestServer.run { server in
            let agents = server.admin.agents
            try await expectCode(.invalidArgument) {
                _ = try await agents.listAgents(.with { $0.filter.byExpiresBefore = "tomorrow" })
            }
            for text in [
                "2027-01-15 11:00:00 +0100 +02", "2027-01-15 11:00:00 +0000", "2027-01-15 11:00:00 +2500 +25",
                "2027-01-15 11:00:00 +0060 +00", "2027-01-15  +0000 +00", "   ", "2027-1-15 09:00:00 +0000 +00",
            ] {
                try await expectCode(.invalidArgument, "\(text)") {
                    _ = try await agents.countAgents(.with { $0.filter.byExpiresBefore = text })
                }
            }
            try await expectCode(.invalidArgument) {
                _ = try await agents.listAgents(.with { $0.filter.bySelectorMatch = .init() })
            }
            try await expectCode(.invalidArgument) {
                _ = try await agents.countAgents(
                    .with {
                        $0.filter.bySelectorMatch = .with {
                            $0.selectors = [.with { ($0.type, $0.value) = ("a", "b") }]
                            $0.match = .UNRECOGNIZED(7)
                        }
                    })
            }
            try await expectCode(.invalidArgument) { _ = try await agents.listAgents(.with { $0.pageSize = -1 }) }
            try await expectCode(.invalidArgument) { _ = try await agents.listAgents(.with { $0.pageToken = "junk" }) }
            try await expectCode(.notFound) {
                _ = try await agents.getAgent(.with { $0.id = .example("/spire/agent/x") })
            }
            try await expectCode(.notFound) {
                _ = try await agents.banAgent(.with { $0.id = .example("/spire/agent/x") })
            }
            try await expectCode(.notFound) {
                _ = try await agents.deleteAgent(.with { $0.id = .example("/spire/agent/x") })
            }
            try await expectCode(.invalidArgument) {
                _ = try await agents.getAgent(.with { $0.id = .example("no-slash") })
            }
        }
    }

    @Test("What happens to agents is logged, and no token ever is")
    func logs() async throws {
        try await TestServer.run { server in
            let token = try await server.admin.agents.createJoinToken(.with { $0.ttl = 600 })
            let joined = try await server.node.attest("join_token", payload: Data(token.value.utf8))
            let whole = try await server.admin.agents.getAgent(.with { $0.id = joined.agentID })
            #expect(!whole.x509SvidSerialNumber.isEmpty)
            _ = try await server.admin.agents.banAgent(.with { $0.id = joined.agentID })
            let banned = try await server.admin.agents.getAgent(.with { $0.id = joined.agentID })
            #expect(banned.banned && banned.x509SvidSerialNumber.isEmpty, "as tools know it")
            _ = try await server.admin.agents.deleteAgent(.with { $0.id = joined.agentID })
            let events = ["join token created", "agent attested", "agent banned", "agent evicted"]
            #expect(server.logs.messages().filter { events.contains($0) } == events)
            for record in server.logs.records {
                #expect(!record.message.contains(token.value))
                #expect(!"\(record.metadata)".contains(token.value))
            }
        }
    }
}

extension TestServer {
    /// The paths of all entries, sorted.
    fileprivate func entryPaths() async throws -> [String] {
        try await admin.entries.listEntries(.init()).entries.map(\.spiffeID.path).sorted()
    }
}
