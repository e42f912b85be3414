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
            let token = try #require(try await Self.records(access).first)
            #expect(token.audience == ["db"])
            #expect(!token.jti.isEmpty && token.serial.isEmpty)
            try await expectCode(.notFound) {
                _ = try await server.node.svids.newJWTSVID(
                    .with {
                        $0.entryID = "other"
                        $0.audience = ["db"]
                    })
            }
            #expect(try await Self.records(access) { $0.outcome = .denied }.map(\.entryID) == ["other", "none"])
            #expect(try await Self.records(access) { $0.credential = token.jti }.map(\.number) == [token.number])
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
            #expect(records.map(\.outcome) == [.denied, .issued])
        }
    }

    @Test("Whoever has no business asking is on record, as long as it is not a flood")
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
