import Foundation
import IssuerDomain
import SPIFFE
import StoreContract
import TestSupport
import Testing

@Suite("Rules for the details of entries")
struct EntryDetailsTests {
    /// What is wrong with details, and the rule that says so.
    struct Fault: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let error: EntryError
        let change: @Sendable (inout EntryContents) throws -> Void

        init(_ name: String, _ error: EntryError, _ change: @escaping @Sendable (inout EntryContents) throws -> Void) {
            (testDescription, self.error, self.change) = (name, error, change)
        }
    }

    private static func selector(_ text: String) throws -> Selector { try Selector(parsing: text) }

    static func faults() throws -> [Fault] {
        let gid = try selector("unix:gid:0")
        let uid = try selector("unix:uid:1000")
        let traced = try selector("proc:traced:false")
        let long = String(repeating: "a", count: 256)
        return [
            Fault("a description beyond 2048 bytes", .badText(field: "description")) {
                $0.details.description = String(repeating: "a", count: 2049)
            },
            Fault("an escape sequence in the owner", .badText(field: "owner")) { $0.details.owner = "a\u{1B}[2J" },
            Fault("an owner beyond 255 bytes", .badText(field: "owner")) { $0.details.owner = long },
            Fault("a line break in the purpose", .badText(field: "purpose")) { $0.details.purpose = "a\nb" },
            Fault("a label without a name", .badText(field: "label name")) { $0.details.labels = ["": "x"] },
            Fault("a label in capitals", .badText(field: "label name")) { $0.details.labels = ["Team": "x"] },
            Fault("a label name beyond 63 bytes", .badText(field: "label name")) {
                $0.details.labels = [String(repeating: "a", count: 64): "x"]
            },
            Fault("a label beyond 255 bytes", .badText(field: "label")) { $0.details.labels = ["a": long] },
            Fault("33 labels", .tooMany(field: "labels", limit: 32)) { contents in
                for number in 0..<33 { contents.details.labels["l\(number)"] = "" }
            },
            Fault("33 audiences", .tooMany(field: "audiences", limit: 32)) {
                $0.details.audiences = (0..<33).map { "a\($0)" }
            },
            Fault("an empty audience", .badText(field: "audience")) { $0.details.audiences = ["a", ""] },
            Fault("a beginning after the end", .neverInForce) {
                $0.expiresAt = Given.start + 60
                $0.details.notBefore = Given.start + 60
            },
            Fault("a beginning after the year 9999", .lifetimeOutOfRange(field: "not_before")) {
                $0.details.notBefore = Date(timeIntervalSince1970: 253_402_300_800)
            },
            Fault("17 groups", .tooMany(field: "any-of groups", limit: 16)) { contents in
                contents.details.rules.anyOf = Array(repeating: [gid], count: 17)
            },
            Fault("an empty group", .emptyGroup) { $0.details.rules.anyOf = [[]] },
            Fault("65 selectors in rules", .tooMany(field: "selectors of rules", limit: 64)) { contents in
                contents.details.rules.noneOf = try (0..<65).map { try Self.selector("unix:gid:\($0)") }
            },
            Fault(
                "a choice that no attestor has", .selector(.unknown(try selector("unix:uuid:1"), nearest: "unix:uid:1"))
            ) { contents in contents.details.rules.anyOf = [[try Self.selector("unix:uuid:1")]] },
            Fault("none_of with a fact that nothing shows to be absent", .absenceNeverShown(traced)) {
                $0.details.rules.noneOf = [traced]
                $0.terms.minimum = .measuredExec
            },
            Fault("none_of with what another make of agent finds", .absenceNeverShown(try selector("k8s:ns:a"))) {
                $0.details.rules.noneOf = [try Self.selector("k8s:ns:a")]
            },
            Fault("none_of with its own selector", .contradiction(uid)) { $0.details.rules.noneOf = [uid] },
            Fault("nine digest sets", .tooMany(field: "digest sets", limit: 8)) { contents in
                contents.details.rules.digestSets = (0..<9).map { "s\($0)" }
                contents.terms.minimum = .measuredExec
            },
            Fault("a digest set with a name that is none", .badText(field: "name of a digest set")) {
                $0.details.rules.digestSets = ["../x"]
                $0.terms.minimum = .measuredExec
            },
            Fault("a template with admin rights", .templateWithPrivileges) {
                $0.details.template = try IDTemplate(parsing: "{unix:user}")
                $0.isAdmin = true
            },
            Fault("class agent by the user alone", .agentByAccountAlone) { $0.details.entryClass = .agent },
        ]
    }

    @Test("Each rule refuses by name", arguments: try faults())
    func refuses(fault: Fault) throws {
        var contents = try Given.contents()
        try fault.change(&contents)
        #expect(throws: fault.error) {
            try EntryRules.check(contents, in: Given.trustDomain(), now: Given.start, insistence: .plain)
        }
    }

    @Test("The levels that an entry needs count its rules, its digest sets and its template as well")
    func floors() throws {
        func level(_ change: (inout EntryDetails) throws -> Void) throws -> AssuranceLevel {
            var contents = try Given.contents()
            try change(&contents.details)
            return TermsRequest().terms(for: contents.decidingSelectors, defaults: .init()).minimum
        }
        #expect(try level { _ in } == .account)
        #expect(try level { $0.rules.digestSets = ["a"] } == .measuredExec)
        #expect(try level { $0.rules.anyOf = [[try Selector(parsing: "unix:path:/x")]] } == .boundImage)
        #expect(try level { $0.rules.noneOf = [try Selector(parsing: "exec:path:/x")] } == .measuredExec)
        #expect(try level { $0.template = try IDTemplate(parsing: "{systemd:user_unit}") } == .boundImage)
        #expect(try level { $0.template = try IDTemplate(parsing: "{unix:user}") } == .account)
    }

    @Test("An agent by its account alone is stored when forced, stays, and cannot come back weaker unforced")
    func weakAgents() throws {
        var weak = try Given.contents()
        weak.details.entryClass = .agent
        let trustDomain = try Given.trustDomain()
        try EntryRules.check(weak, in: trustDomain, now: Given.start, insistence: .forced)
        var hinted = weak
        hinted.hint = "x"
        try EntryRules.check(hinted, in: trustDomain, now: Given.start, replacing: weak, insistence: .plain)
        #expect(EntryError.agentByAccountAlone.canBeForced)
        var strong = weak
        strong.details.rules.digestSets = ["release"]
        strong.terms.minimum = .measuredExec
        try EntryRules.check(strong, in: trustDomain, now: Given.start, insistence: .plain)
        // Nor through an API that has no word for insisting.
        for insistence in [Insistence.plain, .unsaid] {
            #expect(throws: EntryError.agentByAccountAlone) {
                try EntryRules.check(weak, in: trustDomain, now: Given.start, replacing: strong, insistence: insistence)
            }
        }
        // One choice that names no program is enough to get in without one.
        var loose = weak
        loose.details.rules.anyOf = [try ["unix:path:/x", "unix:gid:5"].map { try Selector(parsing: $0) }]
        #expect(loose.goesByAccountAlone)
        // What it may not be does not say what it is.
        var negative = weak
        negative.details.rules.noneOf = [try Selector(parsing: "unix:path:/x")]
        #expect(negative.goesByAccountAlone)
    }

    @Test(
        "An entry holds from its beginning to its end, unless it is disabled",
        arguments: [(-1.0, false), (0, true), (9, true), (10, false)])
    func inForce(offset: TimeInterval, holds: Bool) throws {
        var contents = try Given.contents()
        contents.details.notBefore = Given.start
        contents.expiresAt = Given.start + 10
        #expect(contents.isInForce(at: Given.start + offset) == holds)
        let entry = Entry(id: "a", contents: contents, revision: 0, createdAt: Given.start)
        let index = EntryIndex(entries: [entry])
        let agent = try Given.id("/spire/agent/one")
        #expect(index.authorized(for: agent, now: Given.start + offset).isEmpty == !holds)
        #expect(index.isAuthorized(agent, for: entry, now: Given.start + offset) == holds)
        contents.details.isDisabled = true
        #expect(!contents.isInForce(at: Given.start + offset))
    }

    @Test("Whatever narrows an entry is told to agents that understand it, and to no others")
    func vocabulary() throws {
        #expect(EntryDetails().neededVocabulary == 0)
        var told = try Sample.fullDetails()
        (told.audiences, told.keyType, told.hasInstanceKeys, told.template) = ([], nil, false, nil)
        told.rules = SelectorRules()
        #expect(told.neededVocabulary == 0, "description, owner, purpose, labels, class, beginning and disabled do not")
        let changes: [@Sendable (inout EntryDetails) throws -> Void] = [
            { $0.audiences = ["a"] }, { $0.keyType = .ecP256 }, { $0.hasInstanceKeys = true },
            { $0.template = try IDTemplate(parsing: "{unix:user}") },
            { $0.rules.anyOf = [[try Selector(parsing: "unix:gid:1")]] },
            { $0.rules.noneOf = [try Selector(parsing: "unix:gid:1")] }, { $0.rules.digestSets = ["a"] },
        ]
        for change in changes {
            var details = EntryDetails()
            try change(&details)
            #expect(details.neededVocabulary == EntryDetails.vocabulary)
        }
    }
}

@Suite("Digest sets")
struct DigestSetTests {
    private static let one = String(repeating: "1", count: 64)
    private static let two = String(repeating: "2", count: 64)
    private static let three = String(repeating: "3", count: 64)

    private func new(
        keeps: Int = 1, grace: Duration = .seconds(60), digests: [String] = [one]
    ) throws -> DigestSet {
        try DigestSet.new(name: "release", keeps: keeps, grace: grace, digests: digests, now: Given.start)
    }

    @Test("The newest version counts for ever, and those before it for the grace window")
    func window() throws {
        let set = try new().adding([Self.two], now: Given.start + 100, dropsOthers: false)
        #expect(set.accepted == [Self.one: .some(Given.start + 160), Self.two: nil])
        let next = try set.adding([Self.three], now: Given.start + 120, dropsOthers: false)
        #expect(next.accepted == [Self.two: .some(Given.start + 180), Self.three: nil], "one before is kept")
        #expect(next.versions.map(\.number) == [2, 3])
    }

    @Test("A digest that stays counts for ever, and one of two windows for the later")
    func overlaps() throws {
        let set = try new(keeps: 3, digests: [Self.one, Self.two])
            .adding([Self.two, Self.three], now: Given.start + 10, dropsOthers: false)
            .adding([Self.three], now: Given.start + 20, dropsOthers: false)
        #expect(
            set.accepted == [
                Self.one: .some(Given.start + 70), Self.two: .some(Given.start + 80), Self.three: nil,
            ])
    }

    @Test("Versions can be ended at once, and a clock that was set back makes none overlap wrongly")
    func drops() throws {
        let set = try new(keeps: 4).adding([Self.two], now: Given.start - 500, dropsOthers: false)
        #expect(set.versions.map(\.createdAt) == [Given.start, Given.start])
        #expect(try set.adding([Self.three], now: Given.start, dropsOthers: true).accepted == [Self.three: nil])
    }

    @Test("What is no digest set is refused by name")
    func refuses() throws {
        #expect(throws: EntryError.emptyDigestSet) { try new(digests: []) }
        #expect(throws: EntryError.badText(field: "digest")) { try new(digests: ["abc"]) }
        #expect(throws: EntryError.badText(field: "digest")) {
            try new(digests: [String(repeating: "A", count: 64)])
        }
        #expect(throws: EntryError.tooMany(field: "digests", limit: 256)) {
            try new(digests: Array(repeating: Self.one, count: 257))
        }
        #expect(throws: EntryError.tooMany(field: "kept versions", limit: 16)) { try new(keeps: 17) }
        #expect(throws: EntryError.lifetimeOutOfRange(field: "grace window")) { try new(grace: .seconds(-1)) }
        #expect(throws: EntryError.lifetimeOutOfRange(field: "grace window")) { try new(grace: .seconds(Int64.max)) }
        for name in ["", ".x", "A", "a/b", String(repeating: "a", count: 64)] {
            #expect(throws: EntryError.badText(field: "name of a digest set")) {
                try DigestSet.new(name: name, keeps: 1, grace: .zero, digests: [Self.one], now: Given.start)
            }
        }
    }

    @Test("A new version raises the revision of every entry that goes by the set, in one write")
    func touchesEntries() async throws {
        let store = MemoryStore()
        let registrar = try await EntryRegistrar(
            trustDomain: Given.trustDomain(), store: store, feed: RevisionFeed())
        var contents = try Given.contents("/release")
        contents.details.rules.digestSets = ["release"]
        let missing = try await registrar.create(
            [EntryDraft(contents: contents)], now: Given.start, using: SeededEntropy())
        #expect(missing == [.failure(.digestSetMissing(name: "release"))])
        let created = try await registrar.createDigestSet(
            name: "release", keeps: 1, grace: .seconds(60), digests: [Self.one], now: Given.start)
        #expect(try created.get().versions.count == 1)
        let drafts = [EntryDraft(id: "a", contents: contents), EntryDraft(id: "b", contents: try Given.contents("/b"))]
        for result in try await registrar.create(drafts, now: Given.start, using: SeededEntropy()) {
            _ = try result.get()
        }
        let writes = store.writes
        let added = try await registrar.addVersion(
            to: "release", digests: [Self.two], dropsOthers: false, now: Given.start + 1)
        #expect(try added.get().versions.map(\.number) == [1, 2])
        #expect(store.writes == writes + 1)
        #expect(registrar.read { [$0["a"]?.revision, $0["b"]?.revision] } == [1, 0])
        #expect(try await store.loadDigestSets() == [added.get()])
        #expect(
            try await registrar.deleteDigestSet("release") == .failure(.digestSetInUse(name: "release", entries: 1)))
        _ = try await registrar.delete(["a"])
        #expect(try await registrar.deleteDigestSet("release") == .success("release"))
        #expect(try await registrar.deleteDigestSet("release") == .failure(.digestSetMissing(name: "release")))
        #expect(try await store.loadDigestSets().isEmpty)
    }

    @Test("An entry whose time begins is announced once, by a revision of its own")
    func beginnings() async throws {
        let (store, feed) = (MemoryStore(), RevisionFeed())
        let registrar = try await EntryRegistrar(trustDomain: Given.trustDomain(), store: store, feed: feed)
        var contents = try Given.contents("/later")
        contents.details.notBefore = Given.start + 10
        _ = try await registrar.create(
            [EntryDraft(id: "a", contents: contents)], now: Given.start, using: SeededEntropy())
        #expect(try await registrar.announceBeginnings(after: Given.start, until: Given.start + 9) == 0)
        #expect(try await registrar.announceBeginnings(after: Given.start + 9, until: Given.start + 10) == 1)
        #expect(feed.revision == 2)
        #expect(registrar.read { $0["a"]?.revision } == 1)
        #expect(try await registrar.announceBeginnings(after: Given.start + 10, until: Given.start + 20) == 0)
    }
}
