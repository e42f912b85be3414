import AgentDomain
import Foundation
import SPIFFE
import Testing

@Suite("Entries with rules, digest sets and templates")
struct EntryConditionsTests {
    private static let digest = String(repeating: "a", count: 64)

    private func entry(_ id: String = "e", _ conditions: EntryConditions) throws -> AuthorizedEntry {
        AuthorizedEntry(
            id: id, spiffeID: try SPIFFEID("spiffe://example.org/e"), selectors: try selectors("unix:uid:1"),
            revision: 1,
            createdAt: now, terms: AssuranceTerms(minimum: .account, allowsJIT: false), conditions: conditions)
    }

    private func matches(_ conditions: EntryConditions, _ found: [String], at instant: Date = now) throws -> Bool {
        let matcher = EntryMatcher([try entry("e", conditions)])
        let attestation = Attestation.of(
            Set(try (["unix:uid:1"] + found).map { try Selector(parsing: $0) }), .measuredExec)
        let isMatch = !matcher.matches(attestation, now: instant).isEmpty
        #expect(matcher.nearMisses(attestation, now: instant).isEmpty == isMatch, "a miss is told, a match is not")
        return isMatch
    }

    private func list(_ texts: String...) throws -> [Selector] { try texts.map { try Selector(parsing: $0) } }

    @Test("At least one of each group must be found")
    func anyOf() throws {
        let rules = SelectorRules(anyOf: [
            try list("unix:path:/a", "unix:path:/b"), try list("unix:gid:1", "unix:gid:2"),
        ])
        let conditions = EntryConditions(rules: rules)
        #expect(try matches(conditions, ["unix:path:/b", "unix:gid:1"]))
        #expect(try !matches(conditions, ["unix:path:/b"]))
        #expect(try !matches(conditions, ["unix:path:/c", "unix:gid:1"]))
        #expect(try !matches(conditions, []))
    }

    @Test("What may not be found must be known not to be there; what is unknown does not match")
    func noneOf() throws {
        let conditions = EntryConditions(
            rules: SelectorRules(noneOf: try list("unix:path:/usr/bin/bash", "unix:supplementary_gid:27")))
        #expect(try matches(conditions, ["unix:path:/a"]))
        #expect(try !matches(conditions, ["unix:path:/usr/bin/bash"]))
        #expect(try !matches(conditions, []), "the path could not be read")
        #expect(try !matches(conditions, ["unix:path:/a", "unix:supplementary_gid:27"]))
    }

    @Test("A digest counts until its window is over, and one without an end goes on")
    func digestSets() throws {
        let other = String(repeating: "b", count: 64)
        let conditions = EntryConditions(
            rules: SelectorRules(digestSets: ["release"]),
            digestSets: ["release": [Self.digest: nil, other: now + 60]])
        #expect(try matches(conditions, ["exec:sha256:\(Self.digest)"]))
        #expect(try matches(conditions, ["exec:sha256:\(other)"], at: now + 59))
        #expect(try !matches(conditions, ["exec:sha256:\(other)"], at: now + 60))
        #expect(try !matches(conditions, ["exec:sha256:\(String(repeating: "c", count: 64))"]))
        #expect(try !matches(conditions, ["unix:sha256:\(Self.digest)"]), "the link can be forged")
        #expect(try !matches(conditions, []))
        let missing = EntryConditions(rules: SelectorRules(digestSets: ["release"]))
        #expect(try !matches(missing, ["exec:sha256:\(Self.digest)"]), "a set of which nothing is known holds nothing")
    }

    @Test("A template gives each workload its own identity and slot, or does not match")
    func templates() throws {
        let template = try IDTemplate(parsing: "{unix:user}")
        let matcher = EntryMatcher([try entry("e", EntryConditions(template: template))])
        func match(_ texts: String...) throws -> AuthorizedEntry? {
            matcher.matches(.of(Set(try (["unix:uid:1"] + texts).map { try Selector(parsing: $0) })), now: now).first
        }
        let ada = try #require(try match("unix:user:ada"))
        #expect(ada.spiffeID.path == "/e/ada")
        #expect(ada.slot == SVIDSlot(entryID: "e", identity: ada.spiffeID))
        #expect(try match("unix:user:bob")?.slot != ada.slot)
        #expect(try match() == nil)
        #expect(try match("unix:user:a/b") == nil)
        #expect(ada.decidingSelectors.contains { $0.description.hasPrefix("unix:user:") })
    }

    @Test("With keys of its own, each process has its own slot; otherwise all share one")
    func instances() throws {
        let own = try entry("own", EntryConditions(hasInstanceKeys: true))
        #expect(own.bound(to: "x").slot != own.bound(to: "y").slot)
        #expect(own.bound(to: "x").slot.isOnDemand)
        let shared = try entry("shared", EntryConditions())
        #expect(shared.bound(to: "x").slot == shared.slot)
        #expect(!shared.slot.isOnDemand)
    }

    @Test("A slot is an entry's own only while the entry would still make it")
    func slots() throws {
        let template = try IDTemplate(parsing: "{unix:user}")
        let templated = try entry("e", EntryConditions(template: template))
        let plain = try entry("e", EntryConditions())
        let own = try entry("e", EntryConditions(hasInstanceKeys: true))
        let identity = try SPIFFEID("spiffe://example.org/e/ada")
        let slot = SVIDSlot(entryID: "e", identity: identity)
        #expect(templated.entry(in: slot)?.spiffeID == identity)
        #expect(plain.entry(in: slot) == nil)
        #expect(own.entry(in: slot) == nil)
        #expect(templated.entry(in: SVIDSlot(entryID: "e")) == nil)
        #expect(templated.entry(in: SVIDSlot(entryID: "other", identity: identity)) == nil)
        let foreign = SVIDSlot(entryID: "e", identity: try SPIFFEID("spiffe://example.org/f/ada"))
        #expect(templated.entry(in: foreign) == nil)
        #expect(plain.entry(in: SVIDSlot(entryID: "e")) == plain)
        #expect(own.entry(in: SVIDSlot(entryID: "e")) == nil)
        #expect(own.entry(in: SVIDSlot(entryID: "e", instance: "i"))?.slot.instance == "i")
    }

    @Test("What exists for a process alone is renewed while it is held, and never made ahead")
    func plan() throws {
        let own = try entry("own", EntryConditions(hasInstanceKeys: true))
        let slot = SVIDSlot(entryID: "own", instance: "i")
        #expect(IssuancePlan.due([own], held: [:], now: now).isEmpty)
        let fresh = try HeldX509SVID.make("own")
        #expect(IssuancePlan.due([own], held: [slot: fresh], now: now).isEmpty)
        let late = try HeldX509SVID.make("own", due: now - 1)
        #expect(IssuancePlan.due([own], held: [slot: late], now: now).map(\.slot) == [slot])
        #expect(
            IssuancePlan.due([try entry("own", EntryConditions())], held: [slot: late], now: now).map(\.slot) == [
                SVIDSlot(entryID: "own")
            ])
    }

    @Test("With its last connection a process leaves its own keys, and no others")
    func departure() throws {
        let state = AgentState()
        state.noteConnection(of: "i")
        state.noteConnection(of: "i")
        state.noteConnection(of: "j")
        let svid = try HeldX509SVID.make("own")
        let slots = [
            SVIDSlot(entryID: "own", instance: "i"), SVIDSlot(entryID: "own", instance: "j"),
            SVIDSlot(entryID: "shared"),
        ]
        state.update { view in for slot in slots { view.svids[slot] = svid } }
        state.noteDisconnection(of: "i")
        #expect(state.view.svids.count == 3)
        state.noteDisconnection(of: "i")
        #expect(Set(state.view.svids.keys) == Set(slots.dropFirst()))
        #expect(state.view.connections == ["j": 1])
        state.noteDisconnection(of: "never seen")
        #expect(state.view.svids.count == 2)
    }

    @Test("An audience is admitted byte for byte, and all of it")
    func audiences() {
        #expect(EntryConditions().admit(audience: ["anything"]))
        let conditions = EntryConditions(audiences: ["api", "e\u{301}"])
        #expect(conditions.admit(audience: ["api"]))
        #expect(conditions.admit(audience: ["e\u{301}", "api"]))
        #expect(!conditions.admit(audience: ["\u{E9}"]), "another spelling is another audience")
        #expect(!conditions.admit(audience: ["api", "other"]))
        #expect(!conditions.admit(audience: ["API"]))
    }
}
