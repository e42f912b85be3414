import Crypto
import Foundation
import GRPCCore
import IssuerAPIProtos
import IssuerServer
import Platform
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing
import X509

@Suite("Authorities for servers below")
struct DownstreamAuthoritiesTests {
    @Test("The holder of a downstream identity gets an authority that the bundle vouches for")
    func signs() async throws {
        try await TestServer.run { server in
            try await server.presentWorkload(isDownstream: true)
            let key = P256.Signing.PrivateKey()
            let answer = try await ask(server, key: key, ttl: 600)
            let chain = try answer.caCertChain.map { try DERConcatenation.certificate(in: Array($0)[...]) }
            let own = try #require(chain.first)
            #expect(own.publicKey == Certificate.PublicKey(key.publicKey))
            #expect(own.notValidAfter == server.clock.now + 600)
            #expect("\(own.subject)".contains("OU=DOWNSTREAM-1"))
            let roots = server.issuer.bundle.x509.authorities
            #expect(try answer.x509Authorities.map { Array($0) } == roots.map { try $0.derBytes() })
            let below = TestCA(trustDomain: try TrustDomain("example.org"), certificate: own, key: key)
            let leaf = try below.leaf { $0.validity = server.clock.now - 1..<server.clock.now + 60 }
            let verified = try X509SVIDVerification.verify([leaf.certificate] + chain, at: server.clock.now) { _ in
                server.issuer.bundle.x509
            }
            #expect("\(verified.id)" == "spiffe://example.org/w")
            #expect(server.logs.messages().contains("downstream authority signed"))
        }
    }

    @Test("The lifetime wanted is given as far as the authority above lives; none wanted is as long as its own")
    func lifetimes() async throws {
        try await TestServer.run { server in
            try await server.presentWorkload(isDownstream: true)
            server.clock.advance(by: .seconds(3600))
            for (ttl, expected) in [(60, 1_800_003_660), (0, 1_800_086_400), (.max, 1_800_086_400)] as [(Int32, Int)] {
                let answer = try await ask(server, ttl: ttl)
                let own = try DERConcatenation.certificate(in: Array(try #require(answer.caCertChain.first))[...])
                #expect(own.notValidAfter == Date(timeIntervalSince1970: TimeInterval(expected)))
            }
            try await expectCode(.invalidArgument) { _ = try await ask(server, ttl: -1) }
        }
    }

    @Test(
        "An authority ends with the last entry that permits it, and lives as long as the entry says where nobody asks")
    func entryEnd() async throws {
        try await TestServer.run { server in
            try await server.presentWorkload(isDownstream: true, expiresAt: 1_800_000_060)
            for ttl in [0, 600] as [Int32] { #expect(try await end(server, ttl: ttl) == 1_800_000_060) }
            var other = Spire_Api_Types_Entry.example("/below", parent: .example("/other"))
            other.downstream = true
            other.expiresAt = 1_800_000_900
            other.x509SvidTtl = 300
            _ = try await server.create([other])
            #expect(try await end(server, ttl: 0) == 1_800_000_300)
            #expect(try await end(server, ttl: 600) == 1_800_000_600)
            #expect(try await end(server, ttl: 6000) == 1_800_000_900)
        }
    }

    private func end(_ server: TestServer, ttl: Int32) async throws -> Int64 {
        let answer = try await ask(server, ttl: ttl)
        let own = try DERConcatenation.certificate(in: Array(try #require(answer.caCertChain.first))[...])
        return own.notValidAfter.unixSeconds
    }

    @Test(
        "Nobody else gets one: no admin, no stranger, no agent, no workload of another entry, and none of one that is over"
    )
    func refuses() async throws {
        try await TestServer.run { server in
            let request = try request(P256.Signing.PrivateKey())
            try await expectCode(.permissionDenied, "an admin") {
                _ = try await server.admin.svids.newDownstreamX509CA(request)
            }
            try await expectCode(.permissionDenied, "a stranger") {
                _ = try await server.node.svids.newDownstreamX509CA(request)
            }
            _ = try await server.joinAndPresent()
            try await expectCode(.permissionDenied, "an agent") {
                _ = try await server.node.svids.newDownstreamX509CA(request)
            }
            try await server.presentWorkload(isDownstream: false, path: "/plain")
            try await expectCode(.permissionDenied, "another workload") {
                _ = try await server.node.svids.newDownstreamX509CA(request)
            }
            let entry = try await server.presentWorkload(isDownstream: true, expiresAt: 1_800_000_060)
            _ = try await server.node.svids.newDownstreamX509CA(request)
            server.clock.advance(by: .seconds(60))
            try await expectCode(.permissionDenied, "an entry that is over") {
                _ = try await server.node.svids.newDownstreamX509CA(request)
            }
            _ = try await server.admin.entries.batchDeleteEntry(.with { $0.ids = [entry.id] })
            try await expectCode(.permissionDenied, "an entry that is gone") {
                _ = try await server.node.svids.newDownstreamX509CA(request)
            }
        }
    }

    @Test(
        "A request that is not for the trust domain is refused",
        arguments: [nil, "spiffe://other.example", "spiffe://example.org/w"] as [String?])
    func requests(name: String?) async throws {
        try await TestServer.run { server in
            try await server.presentWorkload(isDownstream: true)
            let csr = try SigningRequestMaker.request(
                signedBy: P256.Signing.PrivateKey(), for: name.map { try SPIFFEID($0) })
            try await expectCode(.invalidArgument) {
                _ = try await server.node.svids.newDownstreamX509CA(.with { $0.csr = Data(csr) })
            }
            for garbage in [[], [0x30, 0], [UInt8](repeating: 0x30, count: 20 << 10)] as [[UInt8]] {
                try await expectCode(.invalidArgument) {
                    _ = try await server.node.svids.newDownstreamX509CA(.with { $0.csr = Data(garbage) })
                }
            }
        }
    }

    private func ask(
        _ server: TestServer, key: P256.Signing.PrivateKey = P256.Signing.PrivateKey(), ttl: Int32
    ) async throws -> Spire_Api_Server_Svid_V1_NewDownstreamX509CAResponse {
        var request = try request(key)
        request.preferredTtl = ttl
        return try await server.node.svids.newDownstreamX509CA(request)
    }

    private func request(
        _ key: P256.Signing.PrivateKey
    ) throws -> Spire_Api_Server_Svid_V1_NewDownstreamX509CARequest {
        let csr = try SigningRequestMaker.request(signedBy: key, for: SPIFFEID("spiffe://example.org"))
        return .with { $0.csr = Data(csr) }
    }
}

extension TestServer {
    /// Makes the calls of the node come from a workload of an entry.
    @discardableResult
    func presentWorkload(
        isDownstream: Bool, path: String = "/below", expiresAt: Int64 = 0
    ) async throws -> Spire_Api_Types_Entry {
        var entry = Spire_Api_Types_Entry.example(path)
        entry.downstream = isDownstream
        entry.expiresAt = expiresAt
        let created = try #require(try await create([entry]).first)
        let csr = try SigningRequestMaker.request(
            signedBy: P256.Signing.PrivateKey(), for: SPIFFEID("spiffe://example.org\(path)"))
        let minted = try await admin.svids.mintX509SVID(
            .with {
                $0.csr = Data(csr)
                $0.ttl = 7200
            }
        ).svid
        let chain = try minted.certChain.map { try DERConcatenation.certificate(in: Array($0)[...]) }
        let bundle = issuer.bundle.x509
        peer.present(try X509SVIDVerification.verify(chain, at: clock.now) { _ in bundle })
        return created
    }
}
