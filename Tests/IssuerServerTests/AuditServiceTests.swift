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

@Suite("The issuance record")
struct AuditServiceTests {
    static func records(
        _ access: AccessServer, _ narrow: @Sendable (inout Mintmark_V1_QueryIssuancesRequest) -> Void = { _ in }
    ) async throws -> [Mintmark_V1_Issuance] {
        try await Mintmark_V1_Audit.Client(wrapping: access.local).query(.with(narrow)).issuances
    }

    @Test(
        "A lifetime that was cut is on record with what was asked, what was granted and why, for certificate and token")
    func cutLifetimes() async throws {
        try await AccessServer.run(.init()) { access in
            let server = access.server
            let joined = try await server.joinAndPresent()
            var wire = Spire_Api_Types_Entry.example("/long", parent: joined.agentID)
            (wire.x509SvidTtl, wire.jwtSvidTtl) = (20_000, 86_400)
            let entry = try #require(try await server.create([wire]).first)
            let csr = try Self.csr()
            let signed = try await server.node.svids.batchNewX509SVID(
                .with {
                    $0.params = [
                        .with {
                            $0.entryID = entry.id
                            $0.csr = csr
                        }
                    ]
                })
            #expect(signed.results.map(\.status.code) == [0])
            _ = try await server.node.svids.newJWTSVID(
                .with {
                    $0.entryID = entry.id
                    $0.audience = ["db"]
                })
            let (token, certificate) = (try await Self.records(access)[0], try await Self.records(access)[1])
            #expect(certificate.askedSeconds == 20_000 && certificate.grantedSeconds == 10_800)
            #expect(token.askedSeconds == 86_400 && token.grantedSeconds == 10_800)
            #expect([certificate, token].allSatisfy { $0.limitedBy == "node_expiry" })
        }
    }

    static func csr() throws -> Data { Data(try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())) }

    @Test("What an agent gets and does not get is on record when the answer arrives, with who, what and why")
    func agentCalls() async throws {
        try await AccessServer.run(.init()) { access in
            let server = access.server
            let joined = try await server.joinAndPresent()
            let attested = try #require(try await Self.records(access).first)
            #expect(attested.method == "spire.api.server.agent.v1.Agent/AttestAgent")
            #expect(attested.outcome == .issued)
            #expect(attested.spiffeID == "\(joined.id)")
            #expect(attested.callerClass == "any")
            #expect(attested.asked == "join_token")
            let token = try #require(try await Self.records(access).last)
            #expect(token.method == "spire.api.server.agent.v1.Agent/CreateJoinToken" && token.asked == "ttl 600 s")
            #expect(token.outcome == .issued && token.spiffeID == "\(joined.id)" && token.principal.hasPrefix("uid:"))

            let entry = try #require(try await server.create([.example("/web", parent: joined.agentID)]).first)
            let csr = try Self.csr()
            let results = try await server.node.svids.batchNewX509SVID(
                .with {
                    $0.params = [
                        .with {
                            $0.entryID = entry.id
                            $0.csr = csr
                        },
                        .with {
                            $0.entryID = "none"
                            $0.csr = csr
                        },
                    ]
                }
            ).results
            let (denied, issued) = (try await Self.records(access)[0], try await Self.records(access)[1])
            #expect(issued.outcome == .issued)
            #expect(issued.callerClass == "agent")
            #expect(issued.principal == "\(joined.id)")
            #expect(issued.entryID == entry.id)
            #expect(issued.spiffeID == "spiffe://example.org/web")
            #expect(issued.limitedBy == "issuer_default")
            #expect(issued.askedSeconds == 3600 && issued.grantedSeconds == 3600)
            #expect(denied.askedSeconds == 0 && denied.grantedSeconds == 0)
            #expect(issued.expiresAt == results[0].svid.expiresAt)
            #expect(issued.requestID == denied.requestID && !issued.requestID.isEmpty)
            #expect(issued.timeMs == 1_800_000_000_000)
            #expect(denied.outcome == .denied)
            #expect(denied.entryID == "none")
            #expect(denied.reason == "no such entry")

            _ = try await server.node.svids.newJWTSVID(
                .with {
                    $0.entryID = entry.id
                    $0.audience = ["db"]
                })
            let jwt = try #require(try await Self.records(access).first)
            #expect(jwt.audience == ["db"])
            #expect(!jwt.jti.isEmpty && jwt.serial.isEmpty)
            try await expectCode(.notFound) {
                _ = try await server.node.svids.newJWTSVID(
                    .with {
                        $0.entryID = "other"
                        $0.audience = ["db"]
                    })
            }
            #expect(try await Self.records(access) { $0.outcome = .denied }.map(\.entryID) == ["other", "none"])
            #expect(try await Self.records(access) { $0.credential = jwt.jti }.map(\.number) == [jwt.number])
        }
    }

    @Test("A credential that was signed and not handed out is on record as denied")
    func withheld() async throws {
        try await AccessServer.run(.init()) { access in
            let server = access.server
            let token = try await server.admin.agents.createJoinToken(.with { $0.ttl = 600 })
            _ = try await server.node.attest("join_token", payload: Data(token.value.utf8))
            try await expectCode(.invalidArgument) {
                _ = try await server.node.attest("join_token", payload: Data(token.value.utf8))
            }
            let records = try await Self.records(access)
            #expect(records.map(\.outcome) == [.denied, .issued, .issued])
            #expect(records.first?.asked == "join_token")
        }
    }

    @Test("Whoever has no business asking is on record, and a flood as one count")
    func refusals() async throws {
        try await AccessServer.run(.init()) { access in
            for _ in 0..<50 {
                try await expectCode(.permissionDenied) {
                    _ = try await access.server.node.svids.newJWTSVID(.with { $0.entryID = "x" })
                }
            }
            let records = try await Self.records(access)
            #expect(records.count == 20)
            #expect(records.allSatisfy { $0.outcome == .denied && $0.reason == "agent is not attested" })
            access.server.clock.advance(by: .seconds(61))
            let summary = try await Self.first(of: access) { $0.repeats > 0 }
            #expect(summary.repeats == 30 && summary.firstMs == 1_800_000_000_000)
            #expect(summary.outcome == .denied && summary.principal == records[0].principal)
        }
    }

    @Test("An agent that is refused again and again costs a few records, not one for each item")
    func hostileAgent() async throws {
        try await AccessServer.run(.init()) { access in
            _ = try await access.server.joinAndPresent()
            for _ in 0..<3 {
                _ = try await access.server.node.svids.batchNewX509SVID(
                    .with { $0.params = (0..<400).map { number in .with { $0.entryID = "none-\(number)" } } })
            }
            #expect(try await Self.records(access) { $0.outcome = .denied }.count == 20)
            access.server.clock.advance(by: .seconds(61))
            let summary = try await Self.first(of: access) { $0.repeats > 0 }
            #expect(summary.repeats == 1180 && summary.callerClass == "agent")
        }
    }

    /// The newest record that is as it should be, once there is one.
    private static func first(
        of access: AccessServer, _ isMeant: (Mintmark_V1_Issuance) -> Bool
    ) async throws -> Mintmark_V1_Issuance {
        for _ in 0..<200 {
            if let found = try await records(access).first(where: isMeant) { return found }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw RPCError(code: .notFound, message: "no such record")
    }

    @Test("What an admin does is logged with who did it and in which call")
    func logLines() async throws {
        try await AccessServer.run(.init()) { access in
            let joined = try await access.server.join()
            try await access.server.create([.example("/a", parent: joined.agentID)])
            _ = try await access.server.admin.agents.banAgent(.with { $0.id = joined.agentID })
            for message in ["join token created", "entry created", "agent banned"] {
                let line = try #require(access.server.logs.records.first { $0.message == message }, "\(message)")
                #expect(line.metadata["principal"].map { "\($0)" }?.hasPrefix("uid:") == true, "\(message)")
                #expect(line.metadata["request.id"] != nil, "\(message)")
            }
            let attested = try #require(access.server.logs.records.first { $0.message == "agent attested" })
            #expect(attested.metadata["principal"].map { "\($0)" }?.hasPrefix("stranger:") == true)
        }
    }

    @Test("Pages follow one another without gaps, and bad questions are refused")
    func pages() async throws {
        try await AccessServer.run(.init()) { access in
            for number in 0..<7 {
                _ = try await access.server.admin.svids.mintJWTSVID(
                    .with {
                        $0.id = .example("/minted/\(number)")
                        $0.audience = ["db"]
                    })
            }
            let audit = Mintmark_V1_Audit.Client(wrapping: access.local)
            var (found, token) = ([String](), "")
            repeat {
                let page = try await audit.query(.with { [token] in ($0.pageSize, $0.pageToken) = (3, token) })
                found += page.issuances.map(\.spiffeID)
                token = page.nextPageToken
            } while !token.isEmpty
            #expect(found == (0..<7).reversed().map { "spiffe://example.org/minted/\($0)" })
            try await expectCode(.invalidArgument) { _ = try await audit.query(.with { $0.pageToken = "x" }) }
            try await expectCode(.invalidArgument) { _ = try await audit.query(.with { $0.sinceMs = -1 }) }
            try await expectCode(.invalidArgument) {
                _ = try await audit.query(.with { $0.outcome = .UNRECOGNIZED(9) })
            }
        }
    }
}
