import Crypto
import Foundation
import GRPCCore
import IssuerAPIProtos
import IssuerDomain
import IssuerServer
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing
import X509

@Suite("Nobody gets power that was not given, over the wire")
struct PowerServiceTests {
    private static func settings() throws -> AccessSettings {
        func id(_ path: String) throws -> SPIFFEID { try SPIFFEID("spiffe://example.org\(path)") }
        let scope = RegistrationScope(prefixes: [try id("/team-a")])
        return AccessSettings(
            grants: [
                Grant(name: "ops", role: .operator, holders: [.spiffeID(try id("/ops")), .spiffeID(try id("/both"))]),
                Grant(name: "team", role: .registrar, holders: [.spiffeID(try id("/both"))], scope: scope),
                Grant(name: "boss", role: .admin, holders: [.spiffeID(try id("/boss"))]),
                Grant(name: "person", role: .viewer, holders: [.spiffeID(try id("/team-a/u-ada"))]),
            ])
    }

    @Test("An alias is an entry: whoever may not register it gets no token for it")
    func aliases() async throws {
        try await AccessServer.run(try Self.settings()) { access in
            let (admin, caller) = (access.server.admin, access.server.node)
            @Sendable func token(_ alias: String, by clients: Clients) async throws {
                let id = try SPIFFEID("spiffe://example.org\(alias)").onWire
                _ = try await clients.agents.createJoinToken(
                    .with {
                        $0.ttl = 600
                        $0.token = "a-token-of-my-choice"
                        $0.agentID = id
                    })
            }
            var powerful = Spire_Api_Types_Entry.example("/team-a/admin")
            powerful.admin = true
            try await access.server.create([powerful])
            try await access.present("/ops")
            _ = try await caller.agents.createJoinToken(.with { $0.ttl = 600 })
            for alias in ["/cluster", "/boss", "/team-a/admin"] {
                try await expectCode(.permissionDenied, "\(alias)") { try await token(alias, by: caller) }
            }
            try await access.present("/both")
            for alias in ["/cluster", "/boss", "/team-a/admin", "/team-a/u-ada"] {
                try await expectCode(.permissionDenied, "\(alias)") { try await token(alias, by: caller) }
            }
            for alias in ["/boss", "/team-a/admin"] {
                try await expectCode(.permissionDenied, "not even an admin: \(alias)") {
                    try await token(alias, by: admin)
                }
            }
            #expect(try await admin.entries.countEntries(.init()).count == 1)
            try await expectCode(.invalidArgument, "no token stayed") {
                _ = try await access.server.node.attest("join_token", payload: Data("a-token-of-my-choice".utf8))
            }
            try await token("/team-a/node", by: caller)
            #expect(try await admin.entries.countEntries(.init()).count == 2)
            #expect(access.server.logs.messages().contains("entry created"))
            _ = try await access.server.node.attest("join_token", payload: Data("a-token-of-my-choice".utf8))
        }
    }

    @Test("Power ends with the SVID, on a connection that is open as well")
    func ended() async throws {
        try await AccessServer.run(try Self.settings()) { access in
            let caller = access.server.node
            var powerful = Spire_Api_Types_Entry.example("/chief")
            powerful.admin = true
            try await access.server.create([powerful])
            for path in ["/ops", "/boss", "/chief"] {
                try await access.present(path)
                _ = try await caller.entries.countEntries(.init())
                access.server.clock.advance(by: .seconds(3599))
                _ = try await caller.entries.countEntries(.init())
                access.server.clock.advance(by: .seconds(1))
                try await expectCode(.unauthenticated, "\(path)") { _ = try await caller.entries.countEntries(.init()) }
            }
        }
    }

    @Test("An SVID that a server below signed gives no power here, whatever ID it names")
    func otherTiers() async throws {
        try await AccessServer.run(try Self.settings()) { access in
            let (server, caller) = (access.server, access.server.node)
            var entries = [Spire_Api_Types_Entry.example("/below"), .example("/chief")]
            entries[0].downstream = true
            entries[1].admin = true
            try await server.create(entries)
            let joined = try await server.join()
            try await access.present("/below")
            let key = P256.Signing.PrivateKey()
            let csr = try SigningRequestMaker.request(signedBy: key, for: SPIFFEID("spiffe://example.org"))
            let answer = try await caller.svids.newDownstreamX509CA(.with { $0.csr = Data(csr) })
            let chain = try answer.caCertChain.map { try DERConcatenation.certificate(in: Array($0)[...]) }
            let below = TestCA(
                trustDomain: try TrustDomain("example.org"), certificate: try #require(chain.first), key: key)
            let forged = ["/boss", "/chief", "/ops", "/below", joined.id.path]
            for path in forged {
                let leaf = try below.leaf("spiffe://example.org\(path)") {
                    $0.validity = server.clock.now - 1..<server.clock.now + 60
                    if path == joined.id.path, let own = try? Self.leaf(of: joined) {
                        $0.serialNumber = own.serialNumber
                    }
                }
                let bundle = server.issuer.bundle.x509
                let verified = try X509SVIDVerification.verify([leaf.certificate] + chain, at: server.clock.now) { _ in
                    bundle
                }
                #expect(verified.id.path == path)
                server.peer.present(verified)
                try await expectCode(.permissionDenied, "\(path)") {
                    _ = try await caller.entries.countEntries(.init())
                }
                try await expectCode(.permissionDenied, "\(path)") {
                    _ = try await caller.svids.newDownstreamX509CA(.with { $0.csr = Data(csr) })
                }
                try await expectCode(.permissionDenied, "\(path)") {
                    _ = try await caller.entries.getAuthorizedEntries(.init())
                }
            }
            try await server.present(joined)
            _ = try await caller.entries.getAuthorizedEntries(.init())
        }
    }

    private static func leaf(of joined: Joined) throws -> Certificate {
        try DERConcatenation.certificate(in: Array(try #require(joined.chain.first))[...])
    }

    @Test("What becomes of entries when a bundle goes is not an operator's to say")
    func bundles() async throws {
        try await AccessServer.run(try Self.settings()) { access in
            let (server, caller) = (access.server, access.server.node)
            try await server.federate(with: "other.example")
            var entry = Spire_Api_Types_Entry.example("/team-b/web")
            entry.federatesWith = ["other.example"]
            let before = try await server.create([entry])
            for path in ["/ops", "/both"] {
                try await access.present(path)
                for mode in [
                    Spire_Api_Server_Bundle_V1_BatchDeleteFederatedBundleRequest.Mode.delete, .dissociate,
                ] {
                    try await expectCode(.permissionDenied, "\(path) \(mode)") {
                        _ = try await caller.bundle.batchDeleteFederatedBundle(
                            .with {
                                $0.trustDomains = ["other.example"]
                                $0.mode = mode
                            })
                    }
                }
            }
            #expect(try await server.admin.entries.listEntries(.init()).entries == before)
            _ = try await server.admin.entries.batchDeleteEntry(.with { $0.ids = before.map(\.id) })
            let results = try await caller.bundle.batchDeleteFederatedBundle(
                .with { $0.trustDomains = ["other.example"] }
            ).results
            #expect(results.map(\.status.code) == [0])
        }
    }

    @Test("No template becomes an identity that holds power")
    func templates() async throws {
        try await AccessServer.run(try Self.settings()) { access in
            let (server, caller) = (access.server, access.server.node)
            let joined = try await server.joinAndPresent()
            let created = try await server.admin.registration.createEntries(
                .with {
                    $0.items = [
                        .with {
                            $0.entry = .example("/team-a", parent: joined.agentID)
                            $0.details.idTemplate = "u-{unix:user}"
                        }
                    ]
                }
            ).results
            let entry = try #require(created.first?.entry.entry)
            let csr = Data(try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey()))
            let response = try await caller.templated.batchNewX509SVID(
                .with {
                    $0.items = ["/team-a/u-ada", "/team-a/u-bob"].map { path in
                        .with {
                            $0.entryID = entry.id
                            $0.csr = csr
                            $0.spiffeID = .example(path)
                        }
                    }
                })
            #expect(
                response.results.map(\.status.code) == [Int32(RPCError.Code.permissionDenied.rawValue), 0])
            try await expectCode(.permissionDenied) {
                _ = try await caller.templated.newJWTSVID(
                    .with {
                        $0.entryID = entry.id
                        $0.audience = ["a"]
                        $0.spiffeID = .example("/team-a/u-ada")
                    })
            }
        }
    }

    @Test("An ID that is no agent's is not looked for among agents")
    func agentIDs() async throws {
        try await AccessServer.run(.init()) { access in
            let agents = access.server.admin.agents
            for text in ["spiffe://example.org/web", "spiffe://other.example/spire/agent/x", "spiffe://example.org"] {
                let id = try SPIFFEID(text).onWire
                try await expectCode(.invalidArgument) { _ = try await agents.getAgent(.with { $0.id = id }) }
                try await expectCode(.invalidArgument) { _ = try await agents.banAgent(.with { $0.id = id }) }
                try await expectCode(.invalidArgument) { _ = try await agents.deleteAgent(.with { $0.id = id }) }
            }
            try await expectCode(.invalidArgument) { _ = try await access.server.admin.entries.getEntry(.init()) }
            let deleted = try await access.server.admin.entries.batchDeleteEntry(.with { $0.ids = [""] }).results
            #expect(deleted.map(\.status.code) == [Int32(RPCError.Code.invalidArgument.rawValue)])
        }
    }
}
