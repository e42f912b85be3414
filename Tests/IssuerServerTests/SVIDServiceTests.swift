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

@Suite("The SVID service")
struct SVIDServiceTests {
    @Test("Each request of a batch has a status of its own, and the sound ones get an SVID")
    func batch() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            var own = Spire_Api_Types_Entry.example("/web", parent: joined.agentID)
            own.hint = "internal"
            own.dnsNames = ["web.example.org"]
            own.x509SvidTtl = 120
            let created = try await server.create([own, .example("/db", parent: .example("/spire/agent/other"))])
            let csr = try self.csr()
            let results = try await server.node.svids.batchNewX509SVID(
                .with {
                    $0.params = [
                        params(created[0].id, csr), params(created[1].id, csr), params("none", csr),
                        params(created[0].id, []), params(created[0].id, [0x30, 0]), params("", csr),
                    ]
                }
            ).results
            let codes: [RPCError.Code?] = [
                nil, .notFound, .notFound, .invalidArgument, .invalidArgument, .invalidArgument,
            ]
            #expect(results.map(\.status.code) == codes.map { Int32($0?.rawValue ?? 0) })
            let svid = try #require(results.first?.svid)
            #expect(svid.id == .example("/web"))
            #expect(svid.hint == "internal")
            #expect(svid.expiresAt == 1_800_000_120)
            let certificates = try svid.certChain.map { try DERConcatenation.certificate(in: Array($0)[...]) }
            let bundle = server.issuer.bundle.x509
            let verified = try X509SVIDVerification.verify(certificates, at: server.clock.now) { _ in bundle }
            #expect("\(verified.id)" == "spiffe://example.org/web")
            let names = try verified.leaf.extensions.subjectAlternativeNames
            #expect(names?.contains(.dnsName("web.example.org")) == true)
            #expect(results.dropFirst().allSatisfy { $0.svid.certChain.isEmpty })
            #expect(results[1].status.message == results[2].status.message, "which entries there are is not told")
        }
    }

    @Test(
        "A batch holds 500 requests at most",
        arguments: [(500, nil), (501, .invalidArgument), (0, .invalidArgument)] as [(Int, RPCError.Code?)])
    func batchSize(count: Int, expected: RPCError.Code?) async throws {
        try await TestServer.run { server in
            _ = try await server.joinAndPresent()
            let found = try await code {
                let response = try await server.node.svids.batchNewX509SVID(
                    .with { $0.params = (0..<count).map { params("none\($0)", []) } })
                #expect(response.results.count == count)
            }
            #expect(found == expected)
        }
    }

    @Test("An agent gets a JWT-SVID for its own entries, and for no others")
    func jwt() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            var own = Spire_Api_Types_Entry.example("/web", parent: joined.agentID)
            own.hint = "internal"
            let created = try await server.create([own, .example("/db", parent: .example("/spire/agent/other"))])
            let svid = try await server.node.svids.newJWTSVID(
                .with {
                    $0.entryID = created[0].id
                    $0.audience = ["db"]
                }
            ).svid
            #expect(svid.id == .example("/web"))
            #expect(svid.hint == "internal")
            #expect(svid.issuedAt == 1_800_000_000)
            #expect(svid.expiresAt == 1_800_000_300)
            let bundle = server.issuer.bundle.jwt
            let verified = try JWTSVID.verify(svid.token, audience: "db", at: server.clock.now) { _ in bundle }
            #expect("\(verified.id)" == "spiffe://example.org/web")

            let refusals: [(entryID: String, audience: [String], code: RPCError.Code)] = [
                (created[1].id, ["db"], .notFound), ("none", ["db"], .notFound), ("", ["db"], .invalidArgument),
                (created[0].id, [], .invalidArgument), (created[0].id, [""], .invalidArgument),
            ]
            for refusal in refusals {
                let found = try await code {
                    _ = try await server.node.svids.newJWTSVID(
                        .with {
                            $0.entryID = refusal.entryID
                            $0.audience = refusal.audience
                        })
                }
                #expect(found == refusal.code, "\(refusal)")
            }
        }
    }

    @Test("An expired entry gives no SVID to anyone")
    func expiredEntry() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            var mortal = Spire_Api_Types_Entry.example("/web", parent: joined.agentID)
            mortal.expiresAt = 1_800_000_060
            let entry = try #require(try await server.create([mortal]).first)
            server.clock.advance(by: .seconds(60))
            let csr = try self.csr()
            let result = try await server.node.svids.batchNewX509SVID(.with { $0.params = [params(entry.id, csr)] })
                .results
            let refusals = [RPCError.Code.permissionDenied, .notFound].map { Int32($0.rawValue) }
            #expect(refusals.contains(try #require(result.first).status.code))
        }
    }

    @Test("An admin mints an X.509-SVID for the name in the request, with its DNS names and a lifetime")
    func mintsX509() async throws {
        try await TestServer.run { server in
            let csr = try SigningRequestMaker.request(
                signedBy: P256.Signing.PrivateKey(), for: SPIFFEID("spiffe://example.org/minted"))
            let minted = try await server.admin.svids.mintX509SVID(
                .with {
                    $0.csr = Data(csr)
                    $0.ttl = 600
                }
            ).svid
            #expect(minted.id == .example("/minted"))
            #expect(minted.expiresAt == 1_800_000_600)
            let defaulted = try await server.admin.svids.mintX509SVID(.with { $0.csr = Data(csr) }).svid
            #expect(defaulted.expiresAt == 1_800_003_600)
            let long = try await server.admin.svids.mintX509SVID(
                .with {
                    $0.csr = Data(csr)
                    $0.ttl = .max
                }
            ).svid
            #expect(long.expiresAt == 1_800_086_400, "no longer than its authority")
            try await expectCode(.invalidArgument, "a negative lifetime") {
                _ = try await server.admin.svids.mintX509SVID(
                    .with {
                        $0.csr = Data(csr)
                        $0.ttl = -1
                    })
            }
        }
    }

    @Test(
        "A request without a name, with a foreign one or with a broken one mints nothing",
        arguments: [
            (nil, .invalidArgument), ("spiffe://other.example/x", .invalidArgument),
            ("spiffe://example.org", .invalidArgument), ("spiffe://example.org/spire", .invalidArgument),
            ("spiffe://example.org/spire/server", .invalidArgument),
            ("spiffe://example.org/spire/agent/one", .invalidArgument),
        ] as [(String?, RPCError.Code)])
    func mintsNothing(name: String?, expected: RPCError.Code) async throws {
        try await TestServer.run { server in
            let csr = try SigningRequestMaker.request(
                signedBy: P256.Signing.PrivateKey(), for: name.map { try SPIFFEID($0) })
            try await expectCode(expected) {
                _ = try await server.admin.svids.mintX509SVID(.with { $0.csr = Data(csr) })
            }
        }
    }

    @Test("An admin mints a JWT-SVID for any name of the trust domain")
    func mintsJWT() async throws {
        try await TestServer.run { server in
            let svid = try await server.admin.svids.mintJWTSVID(
                .with {
                    $0.id = .example("/minted")
                    $0.audience = ["db", "cache"]
                    $0.ttl = 60
                }
            ).svid
            #expect(svid.expiresAt == 1_800_000_060)
            let bundle = server.issuer.bundle.jwt
            let verified = try JWTSVID.verify(svid.token, audience: "cache", at: server.clock.now) { _ in bundle }
            #expect("\(verified.id)" == "spiffe://example.org/minted")
            try await expectCode(.invalidArgument) {
                _ = try await server.admin.svids.mintJWTSVID(.with { $0.id = .example("/minted") })
            }
            for text in [
                "spiffe://other.example/x", "spiffe://example.org", "spiffe://example.org/spire/server",
                "spiffe://example.org/spire/agent/one", "spiffe://example.org/spire",
            ] {
                let id = try SPIFFEID(text).onWire
                try await expectCode(.invalidArgument, "\(text)") {
                    _ = try await server.admin.svids.mintJWTSVID(
                        .with {
                            $0.id = id
                            $0.audience = ["db"]
                        })
                }
            }
            try await expectCode(.invalidArgument, "a negative lifetime") {
                _ = try await server.admin.svids.mintJWTSVID(
                    .with {
                        $0.id = .example("/minted")
                        $0.audience = ["db"]
                        $0.ttl = -1
                    })
            }
        }
    }

    @Test("No log shows a token")
    func logs() async throws {
        try await TestServer.run { server in
            let svid = try await server.admin.svids.mintJWTSVID(
                .with {
                    $0.id = .example("/minted")
                    $0.audience = ["db"]
                }
            ).svid
            let signature = try #require(svid.token.split(separator: ".").last)
            #expect(server.logs.messages().contains("jwt-svid minted"))
            #expect(!server.logs.records.contains { "\($0)".contains(signature) })
        }
    }

    private func csr() throws -> [UInt8] { try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey()) }
}

private func params(_ entryID: String, _ csr: [UInt8]) -> Spire_Api_Server_Svid_V1_NewX509SVIDParams {
    .with {
        $0.entryID = entryID
        $0.csr = Data(csr)
    }
}

@Suite("The bundle service")
struct BundleServiceTests {
    @Test("The bundle holds the authorities of both kinds, with hint and sequence")
    func whole() async throws {
        try await TestServer.run { server in
            let bundle = try await server.node.bundle.getBundle(.init())
            #expect(bundle.trustDomain == "example.org")
            #expect(bundle.x509Authorities.count == 1)
            #expect(bundle.jwtAuthorities.count == 1)
            #expect(bundle.refreshHint == 300)
            #expect(bundle.sequenceNumber == 2)
            let certificate = try DERConcatenation.certificate(
                in: Array(try #require(bundle.x509Authorities.first).asn1)[...])
            #expect(server.issuer.bundle.x509.authorities == [certificate])
            let key = try #require(bundle.jwtAuthorities.first)
            #expect(server.issuer.bundle.jwt.authorities[key.keyID]?.derRepresentation == key.publicKey)
            #expect(key.expiresAt == 1_800_086_400)
        }
    }

    @Test("A mask leaves what it names")
    func mask() async throws {
        try await TestServer.run { server in
            let bundle = try await server.admin.bundle.getBundle(
                .with { $0.outputMask = .with { $0.sequenceNumber = true } })
            #expect(bundle.sequenceNumber == 2)
            #expect(bundle.trustDomain == "example.org")
            #expect(bundle.x509Authorities.isEmpty)
            #expect(bundle.jwtAuthorities.isEmpty)
            #expect(bundle.refreshHint == 0)
        }
    }
}
