import Crypto
import Foundation
import IssuerAPIProtos
import IssuerServer
import Platform
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing
import X509

@Suite("What agents are issued")
struct IssuanceBoundsTests {
    @Test("Whatever entries there are, no SVID outlives its entry, any way up to the agent, the agent or the authority")
    func bounds() async throws {
        try await TestServer.run { server in
            var entropy = SeededEntropy(15)
            var joined = try await server.joinAndPresent()
            var made: [Spire_Api_Types_Entry] = []
            let paths = ["/a", "/b", "/c", "/d", "/e"]
            var (issued, refused, cut) = (0, 0, 0)
            for round in 0..<12 {
                for number in 0..<6 {
                    let path = try #require(paths.randomElement(using: &entropy))
                    let above = paths.prefix { $0 != path }.map { Spire_Api_Types_SPIFFEID.example($0) }
                    let parents = [joined.agentID, joined.agentID] + above
                    var entry = Spire_Api_Types_Entry.example(
                        path, parent: try #require(parents.randomElement(using: &entropy)))
                    entry.selectors = [.with { ($0.type, $0.value) = ("unix", "uid:\(round * 100 + number)") }]
                    let life = Int64.random(in: 30...9000, using: &entropy)
                    if Bool.random(using: &entropy) { entry.expiresAt = server.clock.now.unixSeconds + life }
                    if Bool.random(using: &entropy) { entry.x509SvidTtl = .random(in: 1...20_000, using: &entropy) }
                    made += try await server.create([entry])
                }
                let now = server.clock.now.unixSeconds
                let agentEnd = try Self.leaf(joined.chain).notValidAfter.unixSeconds
                let authorityEnd = try #require(server.issuer.bundle.x509.authorities.map(\.notValidAfter).max())
                let csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
                let asked = made
                let ends = Self.ends(of: joined.agentID, by: made, now: now)
                let results = try await server.node.svids.batchNewX509SVID(
                    .with {
                        $0.params = asked.map { entry in
                            .with {
                                $0.entryID = entry.id
                                $0.csr = Data(csr)
                            }
                        }
                    }
                ).results
                #expect(results.count == asked.count)
                for (entry, result) in zip(asked, results) {
                    let way = entry.expiresAt == 0 || entry.expiresAt > now ? ends[entry.parentID] : nil
                    guard result.status.code == 0 else {
                        #expect(way == nil, "\(entry) was refused: \(result.status.message)")
                        refused += 1
                        continue
                    }
                    let leaf = try Self.leaf(result.svid.certChain)
                    let end = leaf.notValidAfter.unixSeconds
                    let ttl = entry.x509SvidTtl == 0 ? 3600 : Int64(entry.x509SvidTtl)
                    let own = entry.expiresAt == 0 ? .max : entry.expiresAt
                    let bound = min(
                        now + ttl, own, try #require(way), agentEnd, authorityEnd.unixSeconds)
                    #expect(end == bound, "\(entry)")
                    #expect(result.svid.id == entry.spiffeID)
                    issued += 1
                    if bound < now + ttl { cut += 1 }
                }
                server.clock.advance(by: .seconds(Int64.random(in: 60...1500, using: &entropy)))
                if round % 4 == 3 { joined = try await server.joinAndPresent() }
            }
            #expect(issued > 50 && refused > 20 && cut > 20, "\(issued) issued, \(cut) cut, \(refused) refused")
        }
    }

    @Test("Nor does a token, or what a template becomes, whichever way the clock steps")
    func clockSteps() async throws {
        try await TestServer.run { server in
            var entropy = SeededEntropy(16)
            var joined = try await server.joinAndPresent()
            var made: [String: Spire_Api_Types_Entry] = [:]
            var (issued, refused) = (0, 0)
            for round in 0..<40 {
                if round < 12 { try await Self.register(round, under: joined.agentID, server, &made, &entropy) }
                let now = server.clock.now.unixSeconds
                let agentEnd = try Self.leaf(joined.chain).notValidAfter.unixSeconds
                let agentStart = try Self.leaf(joined.chain).notValidBefore.unixSeconds
                let ends = Self.ends(of: joined.agentID, by: Array(made.values), now: now)
                let csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
                for entry in made.values.sorted(by: { $0.id < $1.id }) {
                    let isTemplate = entry.spiffeID.path.hasPrefix("/t")
                    let path = entry.spiffeID.path + (isTemplate ? "/u-ada" : "")
                    var certificate: Spire_Api_Types_X509SVID?
                    var token: Spire_Api_Types_JWTSVID?
                    if isTemplate {
                        certificate = try? await server.node.templated.batchNewX509SVID(
                            .with {
                                $0.items = [
                                    .with {
                                        $0.entryID = entry.id
                                        $0.csr = Data(csr)
                                        $0.spiffeID = .example(path)
                                    }
                                ]
                            }
                        ).results.first { $0.status.code == 0 }?.svid
                        token = try? await server.node.templated.newJWTSVID(
                            .with {
                                ($0.entryID, $0.audience, $0.spiffeID) = (entry.id, ["a"], .example(path))
                            }
                        ).svid
                    } else {
                        certificate = try? await server.node.svids.batchNewX509SVID(
                            .with {
                                $0.params = [
                                    .with {
                                        $0.entryID = entry.id
                                        $0.csr = Data(csr)
                                    }
                                ]
                            }
                        ).results.first { $0.status.code == 0 }?.svid
                        token = try? await server.node.svids.newJWTSVID(
                            .with { ($0.entryID, $0.audience) = (entry.id, ["a"]) }
                        ).svid
                    }
                    let own = entry.expiresAt == 0 ? Int64.max : entry.expiresAt
                    let latest = min(own, ends[entry.parentID] ?? 0, agentEnd)
                    if let certificate {
                        let leaf = try Self.leaf(certificate.certChain)
                        let authority = try #require(
                            server.issuer.bundle.x509.authorities.first { $0.subject == leaf.issuer })
                        let ttl = entry.x509SvidTtl == 0 ? 3600 : Int64(entry.x509SvidTtl)
                        #expect(leaf.notValidAfter.unixSeconds <= min(latest, now + ttl), "\(entry)")
                        #expect(leaf.notValidAfter <= authority.notValidAfter)
                        #expect(leaf.notValidBefore >= authority.notValidBefore)
                        #expect(leaf.notValidBefore.unixSeconds <= now && now < leaf.notValidAfter.unixSeconds)
                        #expect(certificate.id.path == path)
                        issued += 1
                    } else {
                        refused += 1
                    }
                    if let token {
                        let ttl = entry.jwtSvidTtl == 0 ? 300 : Int64(entry.jwtSvidTtl)
                        #expect(token.expiresAt <= min(latest, now + ttl), "\(entry)")
                        #expect(token.issuedAt <= now && now < token.expiresAt)
                        #expect(token.id.path == path)
                        issued += 1
                    } else {
                        refused += 1
                    }
                }
                let step = Int64.random(in: -4000...5000, using: &entropy)
                // Not so far back that the node's own SVID, or the authority that signed it, has not begun.
                server.clock.set(by: .seconds(max(step, agentStart + 20 - now)))
                if server.clock.now.unixSeconds >= agentEnd { joined = try await server.joinAndPresent() }
            }
            #expect(issued > 300 && refused > 100, "\(issued) issued, \(refused) refused")
        }
    }

    /// Registers some entries, one in three of them a template.
    private static func register(
        _ round: Int, under agent: Spire_Api_Types_SPIFFEID, _ server: TestServer,
        _ made: inout [String: Spire_Api_Types_Entry], _ entropy: inout SeededEntropy
    ) async throws {
        for number in 0..<3 {
            let isTemplate = number == 0
            let parents = [agent, agent, .example("/p0"), .example("/p1")]
            var entry = Spire_Api_Types_Entry.example(
                isTemplate ? "/t\(round)" : "/p\(Int.random(in: 0..<3, using: &entropy))",
                parent: try #require(parents.randomElement(using: &entropy)))
            entry.selectors = [.with { ($0.type, $0.value) = ("unix", "uid:\(round * 100 + number)") }]
            let life = Int64.random(in: 30...12_000, using: &entropy)
            if Bool.random(using: &entropy) { entry.expiresAt = server.clock.now.unixSeconds + life }
            if Bool.random(using: &entropy) { entry.x509SvidTtl = .random(in: 1...20_000, using: &entropy) }
            if Bool.random(using: &entropy) { entry.jwtSvidTtl = .random(in: 1...20_000, using: &entropy) }
            let results = try await server.admin.registration.createEntries(
                .with {
                    $0.items = [
                        .with {
                            $0.entry = entry
                            if isTemplate { $0.details.idTemplate = "{unix:user}" }
                        }
                    ]
                }
            ).results
            let result = try #require(results.first)
            try #require(result.status.code == 0, "\(result.status.message)")
            made[result.entry.entry.id] = result.entry.entry
        }
    }

    /// The oracle: until when an agent has each identity, by going over all entries until nothing changes.
    private static func ends(
        of agent: Spire_Api_Types_SPIFFEID, by entries: [Spire_Api_Types_Entry], now: Int64
    ) -> [Spire_Api_Types_SPIFFEID: Int64] {
        var ends = [agent: Int64.max]
        for _ in 0..<10 {
            for entry in entries where entry.expiresAt == 0 || entry.expiresAt > now {
                guard let above = ends[entry.parentID] else { continue }
                let end = min(above, entry.expiresAt == 0 ? .max : entry.expiresAt)
                ends[entry.spiffeID] = max(ends[entry.spiffeID] ?? 0, end)
            }
        }
        return ends
    }

    private static func leaf(_ chain: [Data]) throws -> Certificate {
        try DERConcatenation.certificate(in: Array(try #require(chain.first))[...])
    }
}
