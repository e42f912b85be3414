import Crypto
import Foundation
import GRPCCore
import IssuerAPIProtos
import IssuerServer
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing

@Suite("What was asked for, in the issuance record")
struct AuditAskedTests {
    @Test("An authority for a server below is on record with the name and the lifetime asked for, given or not")
    func downstream() async throws {
        try await AccessServer.run(.init()) { access in
            let server = access.server
            try await server.presentWorkload(isDownstream: true)
            let request = try Self.downstream("spiffe://example.org", ttl: 600)
            _ = try await server.node.svids.newDownstreamX509CA(request)
            let issued = try await Self.last(access)
            #expect(issued.method == "spire.api.server.svid.v1.SVID/NewDownstreamX509CA")
            #expect(issued.outcome == .issued)
            #expect(issued.asked == "authority spiffe://example.org, ttl 600 s")

            try await expectCode(.invalidArgument) {
                _ = try await server.node.svids.newDownstreamX509CA(
                    try Self.downstream("spiffe://other.example", ttl: 7))
            }
            let refused = try await Self.last(access)
            #expect(refused.outcome == .denied && !refused.reason.isEmpty)
            #expect(refused.asked == "authority spiffe://other.example, ttl 7 s")

            try await expectCode(.invalidArgument) {
                _ = try await server.node.svids.newDownstreamX509CA(.with { $0.csr = Data([0x30, 0]) })
            }
            #expect(try await Self.last(access).asked == "authority without a name, ttl 0 s")

            try await server.presentWorkload(isDownstream: false, path: "/plain")
            try await expectCode(.permissionDenied) { _ = try await server.node.svids.newDownstreamX509CA(request) }
            let stranger = try await Self.last(access)
            #expect(stranger.outcome == .denied && stranger.principal == "spiffe://example.org/plain")
            #expect(stranger.asked.isEmpty, "who may not ask is not read")
        }
    }

    @Test("An SVID that is minted is on record by its own name; one that is not, by the name that was asked for")
    func minted() async throws {
        try await AccessServer.run(.init()) { access in
            let server = access.server
            _ = try await server.admin.svids.mintX509SVID(.with { $0.csr = try Self.csr("spiffe://example.org/given") })
            let issued = try await Self.last(access)
            #expect(issued.method == "spire.api.server.svid.v1.SVID/MintX509SVID")
            #expect(issued.outcome == .issued && issued.spiffeID == "spiffe://example.org/given")
            #expect(issued.asked.isEmpty)

            let csr = try Self.csr("spiffe://other.example/taken")
            try await expectCode(.invalidArgument) {
                _ = try await server.admin.svids.mintX509SVID(.with { $0.csr = csr })
            }
            let refused = try await Self.last(access)
            #expect(refused.outcome == .denied && !refused.reason.isEmpty)
            #expect(refused.asked == "spiffe://other.example/taken")

            try await expectCode(.permissionDenied) {
                _ = try await server.node.svids.mintX509SVID(.with { $0.csr = csr })
            }
            let stranger = try await Self.last(access)
            #expect(stranger.outcome == .denied && stranger.asked.isEmpty, "who may not ask is not read")
        }
    }

    private static func last(_ access: AccessServer) async throws -> Mintmark_V1_Issuance {
        try #require(try await AuditServiceTests.records(access).first)
    }

    private static func csr(_ name: String) throws -> Data {
        Data(try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey(), for: SPIFFEID(name)))
    }

    private static func downstream(
        _ name: String, ttl: Int32
    ) throws -> Spire_Api_Server_Svid_V1_NewDownstreamX509CARequest {
        let csr = try csr(name)
        return .with {
            $0.csr = csr
            $0.preferredTtl = ttl
        }
    }
}
