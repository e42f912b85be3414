import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing

@Suite("Lifetimes that entries ask for")
struct EntryLifetimesTests {
    private func authority(lives: TimeInterval = 86_400, upstream: String? = nil) -> AuthorityRecord {
        AuthorityRecord(
            id: "a", kind: .x509, state: .active, origin: .server(Sample.server, keyName: "x509-1"),
            notBefore: Given.start - 10, notAfter: Given.start - 10 + lives, publicDER: [], upstreamKeyID: upstream)
    }

    private func lifetimes(
        agentTTL: Int = 3 * 3600, authorityTTL: Int = 86_400, signing: AuthorityRecord? = nil
    ) -> EntryLifetimes {
        EntryLifetimes(
            svids: .init(agentTTL: .seconds(agentTTL)), authorities: .init(lifetime: .seconds(authorityTTL)),
            signing: signing ?? authority(lives: TimeInterval(authorityTTL)), now: Given.start)
    }

    private func contents(
        x509: Int? = nil, jwt: Int? = nil, _ change: (inout EntryContents) -> Void = { _ in }
    ) throws -> EntryContents {
        var contents = try Given.contents()
        contents.x509TTL = x509.map { .seconds($0) }
        contents.jwtTTL = jwt.map { .seconds($0) }
        change(&contents)
        return contents
    }

    @Test("What entries always get, and what they leave to the server, is not told of")
    func fits() throws {
        #expect(lifetimes().cuts(of: try contents()).isEmpty)
        #expect(lifetimes().cuts(of: try contents(x509: 4860, jwt: 4860)).isEmpty)
        #expect(lifetimes(agentTTL: 60).cuts(of: try contents()).isEmpty, "the server warns of its own defaults")
        let ending = try contents { $0.expiresAt = Given.start + 5 }
        #expect(lifetimes().cuts(of: ending).isEmpty)
    }

    @Test("What a node's own SVID cuts short says so: never had beyond agent_ttl, not always beyond 45% of it")
    func nodes() throws {
        let never = lifetimes().cuts(of: try contents(x509: 10_801, jwt: 10_801))
        #expect(never.map(\.credential) == [.x509, .jwt])
        #expect(never.allSatisfy { $0.rule == .agentTTL && $0.isCertain && $0.longest == .seconds(10_800) })
        let text = try #require(never.first).description
        #expect(text.contains("10801 s cannot be had: at most 10800 s") && text.contains("raise agent_ttl"), "\(text)")
        let sometimes = lifetimes().cuts(of: try contents(x509: 4861))
        #expect(sometimes.map(\.rule) == [.agentTTL] && sometimes.map(\.isCertain) == [false])
        #expect(sometimes.first?.longest == .seconds(4860))
    }

    @Test("What the authority cuts short says so, and names the upstream where that is what leaves it no more")
    func authorities() throws {
        let long = lifetimes(agentTTL: 400_000, authorityTTL: 86_400)
        let never = long.cuts(of: try contents(x509: 86_401))
        #expect(never.map(\.rule) == [.authorityTTL] && never.first?.isCertain == true)
        let sometimes = long.cuts(of: try contents(jwt: 6481))
        #expect(sometimes.map(\.rule) == [.authorityTTL] && sometimes.first?.longest == .seconds(6480))
        let nested = lifetimes(signing: authority(lives: 3600, upstream: "00"))
        let cut = nested.cuts(of: try contents(x509: 3601, jwt: 3601))
        #expect(cut.map(\.credential) == [.x509], "nothing stands above JWT authorities")
        #expect(cut.first?.rule == .upstream && cut.first?.longest == .seconds(3600))
        #expect(cut.first?.description.contains("have the upstream sign for longer") == true)
        let whole = lifetimes(signing: authority(lives: 86_400, upstream: "00"))
        #expect(whole.cuts(of: try contents(x509: 4800)).isEmpty)
    }

    @Test(
        "An entry's end, and that of what stands above it, say so; an entry that has not begun is judged from then on")
    func ends() throws {
        let ending = try contents(x509: 900, jwt: 60) { $0.expiresAt = Given.start + 600 }
        #expect(
            lifetimes().cuts(of: ending).map { [$0.rule.rawValue, "\($0.longest.wholeSeconds)"] } == [
                ["entry_expiry", "600"]
            ])
        let later = try contents(x509: 500) {
            $0.details.notBefore = Given.start + 300
            $0.expiresAt = Given.start + 600
        }
        #expect(lifetimes().cuts(of: later).first?.longest == .seconds(300))
        let below = lifetimes().cuts(of: try contents(x509: 900), above: Given.start + 60)
        #expect(below.map(\.rule) == [.parentExpiry] && below.first?.longest == .seconds(60))
        let over = lifetimes().cuts(of: try contents(x509: 1) { $0.expiresAt = Given.start - 60 })
        #expect(over.first?.longest == .zero)
    }

    @Test("Nodes get no SVID of their alias, and a downstream authority outlives its node's SVID")
    func others() throws {
        let alias = try contents(x509: 400_000) { contents in
            if let server = try? Given.id("/spire/server") { contents.parentID = server }
        }
        #expect(lifetimes().cuts(of: alias).isEmpty)
        #expect(lifetimes().cuts(of: try contents(x509: 43_200) { $0.isDownstream = true }).isEmpty)
        #expect(
            lifetimes().cuts(of: try contents(x509: 86_401) { $0.isDownstream = true }).map(\.rule) == [.authorityTTL])
    }

    @Test(
        "What is told as always had is what a lifetime decision grants at every moment of an authority's and a node's life"
    )
    func agreesWithDecisions() throws {
        var entropy = SeededEntropy(11)
        for _ in 0..<300 {
            let authorityTTL = Int.random(in: 600...1_000_000, using: &entropy)
            let agentTTL = Int.random(in: 60...200_000, using: &entropy)
            let asked = Int.random(in: 1...300_000, using: &entropy)
            let told = lifetimes(agentTTL: agentTTL, authorityTTL: authorityTTL).cuts(of: try contents(jwt: asked))
            // The worst moment: the authority is about to be replaced, and the node about to renew what it got then.
            let whole = min(Double(authorityTTL) / 6, 7 * 86_400)
            let node = min(Double(agentTTL), whole)
            let worst = try LifetimeDecision(
                asked: .seconds(asked), isDefault: false, entryEnd: nil,
                ceilings: [LifetimeCeiling(end: Given.start + node * 0.45, limit: .nodeExpiry)],
                authority: Given.start - 10..<Given.start + Double(authorityTTL), now: Given.start)
            let best = try LifetimeDecision(
                asked: .seconds(asked), isDefault: false, entryEnd: nil,
                ceilings: [LifetimeCeiling(end: Given.start + Double(agentTTL), limit: .nodeExpiry)],
                authority: Given.start - 10..<Given.start + Double(authorityTTL), now: Given.start)
            switch told.first {
            case nil: #expect(worst.shortfall == nil, "\(asked) of \(agentTTL) under \(authorityTTL)")
            case let cut? where cut.isCertain: #expect(best.shortfall != nil && best.granted <= cut.longest)
            case _?: #expect(worst.shortfall != nil && best.shortfall == nil)
            }
        }
    }

    @Test("The lint tells of stored entries and of planned ones, and a registrar of the one that was changed")
    func lint() async throws {
        let registrar = try await EntryRegistrar(
            trustDomain: Given.trustDomain(), store: MemoryStore(), feed: RevisionFeed(),
            lifetimes: { now in lifetimes() })
        let parent = try contents { contents in
            contents.expiresAt = Given.start + 120
            if let id = try? Given.id("/parent") { contents.spiffeID = id }
        }
        let child = try contents(x509: 600) { contents in
            if let id = try? Given.id("/parent") { contents.parentID = id }
        }
        _ = try await registrar.create(
            [EntryDraft(id: "parent", contents: parent), EntryDraft(id: "child", contents: child)], now: Given.start,
            using: SeededEntropy(1))
        let found = registrar.findings(agents: [], now: Given.start).filter { $0.kind == .shortened }
        #expect(found.map(\.entries) == [["child"]])
        #expect(found.first?.message.contains("the entry above it ends") == true)
        let warnings = registrar.warnings(about: child, now: Given.start)
        #expect(warnings.contains { if case .lifetimeCut(let cut) = $0 { cut.rule == .parentExpiry } else { false } })
        var declared = try contents(jwt: 20_000)
        declared.spiffeID = try Given.id("/declared")
        let outcome = try await registrar.apply(
            Declaration(
                entries: [DeclaredEntry(source: "f:1", id: nil, contents: declared, terms: .init())], keeper: "team",
                prunes: false), isDryRun: true, now: Given.start, using: SeededEntropy(2))
        #expect(outcome.findings.contains { $0.kind == .shortened && $0.entries == ["f:1"] })
    }
}
