import AgentDomain
import Foundation
import NodeAgent
import Platform
import SPIFFE
import TestSupport
import Testing
import X509

@Suite("SVIDs to be replaced before their time")
struct SpoiledSVIDsTests {
    private let now = CertificateRecipe.now

    @Test("What a tainted authority signed is replaced within a spread, what a gone one signed at once")
    func spreads() throws {
        let (good, bad, gone) = (try TestCA(commonName: "a"), try TestCA(commonName: "b"), try TestCA(commonName: "c"))
        let spoiled = SpoiledSVIDs(
            tainted: TaintedAuthorities(authorityKeyIDs: [try Self.keyID(of: bad)]),
            bundle: TrustBundle(
                trustDomain: good.trustDomain, x509Authorities: [good.certificate, bad.certificate],
                jwtAuthorities: [:]), held: 10)
        #expect(spoiled.spread(of: try Self.keyID(of: good)) == nil)
        #expect(spoiled.spread(of: try Self.keyID(of: bad)) == SpoiledSVIDs.shortestSpread)
        #expect(spoiled.spread(of: try Self.keyID(of: gone)) == 0)
        #expect(spoiled.spread(of: "") == nil, "a chain that does not say who signed it is left alone")
    }

    @Test("A thousand are spread so that no five seconds see many more than a hundred")
    func storm() throws {
        let authority = try TestCA()
        let id = try Self.keyID(of: authority)
        let spoiled = SpoiledSVIDs(
            tainted: TaintedAuthorities(authorityKeyIDs: [id]),
            bundle: TrustBundle(
                trustDomain: authority.trustDomain, x509Authorities: [authority.certificate], jwtAuthorities: [:]),
            held: 1000)
        var entropy = SeededEntropy(3)
        var held: [SVIDSlot: HeldX509SVID] = [:]
        for number in 0..<1000 {
            held[SVIDSlot(entryID: "\(number)")] = HeldX509SVID(
                spiffeID: try SPIFFEID("spiffe://example.org/w"), entryRevision: 1, chain: [1], key: SecretBytes([2]),
                validity: now..<now + 3600, renewal: RenewalPlan(arrived: now, end: now + 3600, using: &entropy),
                authorityKeyID: id)
        }
        spoiled.hasten(&held, now: now)
        let waits = held.values.map { $0.renewal.due.timeIntervalSince(now) }
        #expect(waits.allSatisfy { (0..<50).contains($0) })
        for start in stride(from: 0.0, to: 50, by: 5) {
            let count = waits.count { ($0 - start) >= 0 && ($0 - start) < 5 }
            #expect((50...150).contains(count), "\(count) in the five seconds from \(start) on")
        }
    }

    private static func keyID(of authority: TestCA) throws -> String {
        Hex.encode(try #require(try authority.certificate.extensions.subjectKeyIdentifier).keyIdentifier)
    }
}
