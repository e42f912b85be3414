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
