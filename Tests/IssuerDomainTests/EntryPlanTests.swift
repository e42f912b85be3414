import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing

@Suite("Plans of declarations")
struct EntryPlanTests {
    private let store = MemoryStore()

    private func registrar() async throws -> EntryRegistrar {
        try await EntryRegistrar(trustDomain: Given.trustDomain(), store: store, feed: RevisionFeed())
    }

    private func wanted(
        _ path: String, id: String? = nil, selectors: [String] = ["unix:uid:1000"],
        _ change: (inout EntryContents) -> Void = { _ in }
    ) throws -> DeclaredEntry {
        var contents = try Given.contents(path, selectors: selectors)
        change(&contents)
        return DeclaredEntry(
            source: "f.yaml:\(path)", id: id, contents: contents, terms: TermsRequest(insistence: .plain))
    }

    private func apply(
        _ registrar: EntryRegistrar, _ entries: [DeclaredEntry], keeper: String = "team", prunes: Bool = false,
        adopts: Bool = false, isDryRun: Bool = false, expecting: String? = nil, seed: UInt64 = 1
    ) async throws -> EntryRegistrar.DeclarationOutcome {
        try await registrar.apply(
            Declaration(entries: entries, keeper: keeper, prunes: prunes, adopts: adopts), isDryRun: isDryRun,
            expecting: expecting, now: Given.start, using: SeededEntropy(seed))
    }

    private func actions(_ plan: EntryPlan) -> [String] {
        plan.steps.map { step in
            switch step {
            case .create(let entry, _): "+\(entry.contents.spiffeID.path)"
            case .update(let entry, _, let changes):
                "~\(entry.contents.spiffeID.path) \(changes.map(\.field).joined(separator: ","))"
            case .delete(let entry): "-\(entry.contents.spiffeID.path)"
            }
        }
    }

    @Test("The same declaration again changes nothing and writes nothing")
    func idempotent() async throws {
        let registrar = try await registrar()
        let entries = [try wanted("/a"), try wanted("/b", id: "chosen")]
        let first = try await apply(registrar, entries, prunes: true)
        #expect(actions(first.plan) == ["+/a", "+/b"])
        #expect(first.isApplied)
        let writes = store.writes
        let second = try await apply(registrar, entries, prunes: true, seed: 2)
        #expect(second.plan.isEmpty && second.plan.unchanged == 2 && second.plan.problems.isEmpty)
        #expect(store.writes == writes)
        #expect(registrar.read { $0["chosen"]?.revision } == 0)
    }

    @Test("A change is told field by field, and a chosen ID lets the selectors change")
    func updates() async throws {
        let registrar = try await registrar()
        _ = try await apply(registrar, [try wanted("/a"), try wanted("/b", id: "b")])
        let outcome = try await apply(
            registrar,
            [
                try wanted("/a") { $0.hint = "new" },
                try wanted("/b", id: "b", selectors: ["unix:uid:7"]) { $0.details.owner = "me" },
            ], prunes: true)
        #expect(actions(outcome.plan) == ["~/a hint", "~/b selectors,owner"])
        guard case .update(_, _, let changes)? = outcome.plan.steps.last else { throw Missing() }
        #expect(changes.map(\.before) == ["unix:uid:1000", ""])
        #expect(changes.map(\.after) == ["unix:uid:7", "me"])
        #expect(registrar.read { $0["b"]?.revision } == 1)
    }

    @Test("Pruning deletes what has the same keeper and is not said, and nothing else")
    func prunes() async throws {
        let registrar = try await registrar()
        _ = try await registrar.create(
            [EntryDraft(id: "by-hand", contents: try Given.contents("/hand"))], now: Given.start, using: SeededEntropy()
        )
        _ = try await apply(registrar, [try wanted("/other")], keeper: "other")
        _ = try await apply(registrar, [try wanted("/a"), try wanted("/b")], seed: 2)
        let kept = try await apply(registrar, [try wanted("/a")])
        #expect(kept.plan.isEmpty, "without pruning nothing goes")
        let pruned = try await apply(registrar, [try wanted("/a")], prunes: true)
        #expect(actions(pruned.plan) == ["-/b"])
        #expect(registrar.read { Set($0.entries.map(\.contents.spiffeID.path)) } == ["/hand", "/other", "/a"])
    }

    @Test("What somebody else keeps is taken over only when that is asked for")
    func adoption() async throws {
        let registrar = try await registrar()
        _ = try await registrar.create(
            [EntryDraft(id: "by-hand", contents: try Given.contents("/hand"))], now: Given.start, using: SeededEntropy()
        )
        let refused = try await apply(registrar, [try wanted("/hand"), try wanted("/new")])
        #expect(refused.plan.problems.map(\.source) == ["f.yaml:/hand"])
        #expect(!refused.isApplied)
        #expect(registrar.read { $0.count } == 1, "all or nothing")
        let adopted = try await apply(registrar, [try wanted("/hand")], adopts: true)
        #expect(actions(adopted.plan) == ["~/hand labels"])
        #expect(registrar.read { $0["by-hand"]?.contents.details.labels } == ["managed-by": "team"])
    }

    @Test("With anything wrong nothing happens, and everything that is wrong is told")
    func allOrNothing() async throws {
        let registrar = try await registrar()
        let outcome = try await apply(
            registrar,
            [
                try wanted("/fine"), try wanted("/spire/agent/x"), try wanted("/b", id: "no/id"),
                try wanted("/weak") { $0.details.entryClass = .agent },
                try wanted("/set") { $0.details.rules.digestSets = ["none"] },
            ])
        #expect(!outcome.isApplied)
        #expect(
            outcome.plan.problems.map(\.source) == ["/spire/agent/x", "/b", "/weak", "/set"].map { "f.yaml:\($0)" })
        #expect(outcome.plan.problems.map(\.canBeForced) == [false, false, true, false])
        #expect(registrar.read { $0.count } == 0)
        #expect(store.writes == 0)
    }

    @Test("Two that would be one entry are refused, also where one is there already")
    func clashes() async throws {
        let registrar = try await registrar()
        let twice = try await apply(registrar, [try wanted("/a"), try wanted("/a", id: "x")])
        #expect(twice.plan.problems.count == 1)
        let sameID = try await apply(registrar, [try wanted("/a", id: "x"), try wanted("/b", id: "x")])
        #expect(sameID.plan.problems.count == 1)
        _ = try await apply(registrar, [try wanted("/a", id: "there")])
        let renamed = try await apply(registrar, [try wanted("/a", id: "other")])
        #expect(renamed.plan.problems.count == 1, "the key is taken")
        let moved = try await apply(registrar, [try wanted("/a", id: "other")], prunes: true)
        #expect(moved.isApplied && actions(moved.plan) == ["-/a", "+/a"], "unless its holder goes")
    }

    @Test("Entries trade keys in one step")
    func trade() async throws {
        let registrar = try await registrar()
        _ = try await apply(registrar, [try wanted("/a", id: "1"), try wanted("/b", id: "2")])
        let traded = try await apply(registrar, [try wanted("/b", id: "1"), try wanted("/a", id: "2")])
        #expect(traded.isApplied, "\(traded.plan.problems)")
        #expect(registrar.read { [$0["1"], $0["2"]].map { $0?.contents.spiffeID.path } } == ["/b", "/a"])
        for id in ["1", "2"] {
            let entry = try #require(registrar.read { $0[id] })
            #expect(registrar.read { $0.entry(with: entry.contents.key) } == entry)
        }
    }

    @Test("A plan that is no longer the one that was seen is not carried out")
    func changedMeanwhile() async throws {
        let registrar = try await registrar()
        let seen = try await apply(registrar, [try wanted("/a")], isDryRun: true)
        #expect(!seen.isApplied && registrar.read { $0.count } == 0)
        let again = try await apply(registrar, [try wanted("/a")], isDryRun: true, seed: 9)
        #expect(again.plan.fingerprint == seen.plan.fingerprint, "the IDs of new entries do not count")
        _ = try await apply(registrar, [try wanted("/a") { $0.hint = "meanwhile" }])
        let late = try await apply(registrar, [try wanted("/a")], expecting: seen.plan.fingerprint)
        #expect(!late.isApplied && late.plan.problems.count == 1)
        let fresh = try await apply(registrar, [try wanted("/a")], isDryRun: true)
        #expect(try await apply(registrar, [try wanted("/a")], expecting: fresh.plan.fingerprint).isApplied)
    }

    @Test("A declared entry whose time is over counts as not declared, and is told")
    func expired() async throws {
        let registrar = try await registrar()
        let outcome = try await apply(registrar, [try wanted("/old") { $0.expiresAt = Given.start }, try wanted("/a")])
        #expect(outcome.isApplied && actions(outcome.plan) == ["+/a"])
        #expect(outcome.findings.contains { $0.kind == .expired && $0.entries == ["f.yaml:/old"] })
    }

    @Test("Two declarations that differ never have one fingerprint, whatever their texts hold")
    func fingerprints() async throws {
        let registrar = try await registrar()
        func fingerprint(_ change: (inout EntryContents) -> Void) async throws -> String {
            try await apply(registrar, [try wanted("/a", change)], isDryRun: true).plan.fingerprint
        }
        let lists: [[String]] = [
            ["a, b"], ["a", "b"], ["\"a\", \"b\""], ["\"a", "b\""], ["a\\\"", "b"], ["a\\", "\"b"],
        ]
        var prints: Set<String> = []
        for list in lists { prints.insert(try await fingerprint { $0.details.audiences = list }) }
        prints.insert(try await fingerprint { $0.details.labels = ["x": "1, y=2"] })
        prints.insert(try await fingerprint { $0.details.labels = ["x": "1", "y": "2"] })
        #expect(prints.count == lists.count + 2)
    }

    @Test("There are no more entries than there may be, whichever way they come")
    func tooMany() async throws {
        let registrar = try await EntryRegistrar(
            trustDomain: Given.trustDomain(), store: store, feed: RevisionFeed(), maximumEntries: 2)
        #expect(try await apply(registrar, [try wanted("/a")], prunes: true).isApplied)
        let refused = try await apply(registrar, [try wanted("/a"), try wanted("/b"), try wanted("/c")], seed: 2)
        #expect(!refused.isApplied && refused.plan.problems.first?.message.contains("at most 2 entries") == true)
        #expect(try await apply(registrar, [try wanted("/b"), try wanted("/c")], prunes: true, seed: 3).isApplied)
        let created = try await registrar.create(
            [EntryDraft(contents: try Given.contents("/d"))], now: Given.start, using: SeededEntropy(4))
        #expect(throws: EntryError.tooManyEntries(limit: 2)) { try created[0].get() }
        #expect(registrar.read { $0.count } == 2)
    }

    @Test("A store that fails changes nothing")
    func storeFails() async throws {
        let registrar = try await registrar()
        store.failWrites(with: .full(detail: ""))
        await #expect(throws: StoreError.full(detail: "")) { try await apply(registrar, [try wanted("/a")]) }
        #expect(registrar.read { $0.count } == 0)
    }

    private struct Missing: Error {}
}

@Suite("Lint of entries")
struct EntryLintTests {
    private func findings(_ entries: [Entry]) -> [EntryFinding] { EntryLint.findings(in: EntryIndex(entries: entries)) }

    private func entry(
        _ id: String, path: String = "/same", selectors: [String], age: TimeInterval = 0,
        _ change: (inout EntryContents) throws -> Void = { _ in }
    ) throws -> Entry {
        var contents = try Given.contents(path, selectors: selectors)
        try change(&contents)
        contents.terms = TermsRequest().terms(for: contents.decidingSelectors, defaults: .init())
        return Entry(id: id, contents: contents, revision: 0, createdAt: Given.start - age)
    }

    private func kinds(_ entries: [Entry]) -> [String: Set<EntryFinding.Kind>] {
        var kinds: [String: Set<EntryFinding.Kind>] = [:]
        for finding in findings(entries) { for id in finding.entries { kinds[id, default: []].insert(finding.kind) } }
        return kinds
    }

    @Test("Entries that keep out of each other's way are not told of")
    func silent() throws {
        #expect(
            findings([
                try entry("a", selectors: ["unix:uid:1"]), try entry("b", selectors: ["unix:uid:2"]),
                try entry("c", path: "/c", selectors: ["unix:uid:1"]),
                try entry("d", path: "/d", selectors: ["unix:uid:1"]) { $0.hint = "x" },
                try entry("e", path: "/e", selectors: ["unix:uid:2"]) { $0.hint = "x" },
            ]).isEmpty)
    }

    @Test("One that says nothing new, two that overlap, and a hint that is never handed out")
    func pairs() throws {
        #expect(
            kinds([
                try entry("wide", selectors: ["unix:uid:1"], age: 2),
                try entry("narrow", selectors: ["unix:uid:1", "unix:gid:1"]),
            ]) == ["wide": [.redundant], "narrow": [.redundant]])
        #expect(
            kinds([
                try entry("user", selectors: ["unix:uid:1"]), try entry("group", selectors: ["unix:gid:1"]),
            ]) == ["user": [.overlap], "group": [.overlap]])
        let shared = findings([
            try entry("young", path: "/a", selectors: ["unix:uid:1"]) { $0.hint = "x" },
            try entry("old", path: "/b", selectors: ["unix:gid:1"], age: 9) { $0.hint = "x" },
        ])
        #expect(shared.map(\.kind) == [.shadowed])
        #expect(shared.first?.entries == ["old", "young"])
        let kept = try [
            entry("one", path: "/a", selectors: ["unix:uid:1"]) { $0.hint = "x" },
            entry("two", path: "/b", selectors: ["unix:gid:1"]) {
                $0.hint = "x"
                $0.details.rules.noneOf = [try Selector(parsing: "unix:uid:1")]
            },
        ]
        #expect(findings(kept).isEmpty, "what one forbids the other asks for")
    }

    private func agent(_ path: String, _ selectors: [String] = [], isBanned: Bool = false) throws -> AttestedAgent {
        var agent = AttestedAgent(
            id: try Given.id(path), attestationType: "x509pop", serial: "1", expiresAt: Given.start + 3600,
            selectors: try Given.selectors(selectors), canReattest: true)
        agent.isBanned = isBanned
        return agent
    }

    @Test("A node has more names than one: entries under any of them are looked at together")
    func aliases() throws {
        let alias = try entry("alias", path: "/fleet", selectors: ["x509pop:subject:cn:a"]) {
            $0.parentID = try Given.id("/spire/server")
        }
        let entries = [
            alias, try entry("wide", selectors: ["unix:uid:1"], age: 2),
            try entry("narrow", selectors: ["unix:uid:1", "unix:gid:1"]) { $0.parentID = try Given.id("/fleet") },
        ]
        let index = EntryIndex(entries: entries)
        let member = try agent("/spire/agent/one", ["x509pop:subject:cn:a"])
        #expect(
            EntryLint.findings(in: index, agents: [member]).map { [$0.kind.rawValue] + $0.entries } == [
                ["redundant", "wide", "narrow"]
            ])
        let stranger = EntryLint.findings(in: index, agents: [try agent("/spire/agent/one")])
        #expect(stranger.map(\.kind) == [.orphaned] && stranger.first?.entries == ["alias"])
    }

    @Test("Entries of agents that are not there, or are banned, are told of")
    func agentsGone() throws {
        let index = EntryIndex(entries: [try entry("a", selectors: ["unix:uid:1"])])
        #expect(EntryLint.findings(in: index, agents: []).map(\.kind) == [.orphaned])
        let banned = EntryLint.findings(in: index, agents: [try agent("/spire/agent/one", isBanned: true)])
        #expect(banned.first?.message.contains("banned") == true)
        #expect(EntryLint.findings(in: index, agents: [try agent("/spire/agent/one")]).isEmpty)
    }

    @Test("What no process can be, and what nothing serves")
    func unreachable() throws {
        #expect(kinds([try entry("two", selectors: ["unix:uid:1", "unix:uid:2"])])["two"] == [.unreachable])
        #expect(kinds([try entry("kind", selectors: ["vault:role:x"])])["kind"] == [.unreachable])
        let group = try entry("group", selectors: ["unix:uid:1"]) {
            $0.details.rules.anyOf = [try ["unix:uid:2", "unix:uid:3"].map { try Selector(parsing: $0) }]
        }
        #expect(kinds([group])["group"] == [.unreachable])
        let forbidden = try entry("forbidden", selectors: ["unix:uid:1"]) {
            $0.details.rules.anyOf = [[try Selector(parsing: "unix:gid:2")]]
            $0.details.rules.noneOf = [try Selector(parsing: "unix:gid:2")]
        }
        #expect(kinds([forbidden])["forbidden"] == [.unreachable])
        let orphan = try entry("orphan", selectors: ["unix:uid:1"]) { $0.parentID = try Given.id("/no/such") }
        #expect(kinds([orphan])["orphan"] == [.orphaned])
        #expect(
            kinds([try entry("groups", selectors: ["unix:supplementary_gid:1", "unix:supplementary_gid:2"])]).isEmpty)
        #expect(kinds([try entry("ns", selectors: ["ns:mnt:host", "ns:mnt:4026531840"])]).isEmpty)
    }

    @Test("What is weaker than it could be")
    func weak() throws {
        let tool = try entry("tool", selectors: ["unix:uid:1"]) { $0.details.entryClass = .tool }
        #expect(kinds([tool])["tool"] == [.weak])
        let service = try entry("service", selectors: ["unix:uid:1"]) { $0.details.entryClass = .service }
        #expect(findings([service]).isEmpty)
    }
}
