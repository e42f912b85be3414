import Foundation
import IssuerDomain
import SPIFFE
import Testing

@Suite("Rules of entries")
struct EntryRulesTests {
    /// A rule: how an entry breaks it, and what is said then.
    struct Breach: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let change: @Sendable (inout EntryContents) throws -> Void
        let error: EntryError

        init(_ name: String, _ error: EntryError, _ change: @escaping @Sendable (inout EntryContents) throws -> Void) {
            (testDescription, self.error, self.change) = (name, error, change)
        }
    }

    static func breaches() throws -> [Breach] {
        let own = try Given.trustDomain()
        let foreign = try SPIFFEID("spiffe://other.example/x")
        let label = String(repeating: "a", count: 64)
        let dnsNames = [
            "", ".", "a..b", "-a.example", "a-.example", "a_b.example", "*", "a.*.example", "*a.example", "a b",
            "ä.example", "\(label).example", "a.example.", "http://a", "a:443", String(repeating: "a.", count: 127),
        ]
        return [
            Breach("SPIFFE ID of another trust domain", .foreignTrustDomain(field: "SPIFFE ID", expected: own)) {
                $0.spiffeID = foreign
            },
            Breach("parent of another trust domain", .foreignTrustDomain(field: "parent ID", expected: own)) {
                $0.parentID = foreign
            },
            Breach("SPIFFE ID of the trust domain itself (X509-03)", .spiffeIDWithoutPath) { $0.spiffeID = own.id },
            Breach("SPIFFE ID of an agent", .reservedSPIFFEID) { $0.spiffeID = try Given.id("/spire/agent/x") },
            Breach("SPIFFE ID of the server", .reservedSPIFFEID) { $0.spiffeID = try Given.id("/spire/server") },
            Breach("no selector", .noSelectors) { $0.selectors = [] },
            Breach("65 selectors", .tooMany(field: "selectors", limit: 64)) {
                $0.selectors = try Given.selectors((0..<65).map { "unix:uid:\($0)" })
            },
            Breach("two kinds of selectors with store_svid", .mixedStoreSelectors) {
                $0.storesSVID = true
                $0.selectors = try Given.selectors(["unix:uid:1", "k8s:ns:x"])
            },
            Breach(
                "a level below what a selector needs",
                .assuranceBelowSelector(
                    asked: .boundImage, selector: try Selector(parsing: "exec:path:/x"), needed: .measuredExec)
            ) {
                $0.selectors = try Given.selectors(["unix:uid:1", "exec:path:/x"])
                $0.terms.minimum = .boundImage
            },
            Breach("65 DNS names", .tooMany(field: "DNS names", limit: 64)) {
                $0.dnsNames = (0..<65).map { "n\($0).example" }
            },
            Breach("65 federated domains", .tooMany(field: "federated trust domains", limit: 64)) {
                $0.federatesWith = try (0..<65).map { try TrustDomain("d\($0).example") }
            },
            Breach("federation with itself (ID-30)", .federatesWithItself) { $0.federatesWith = [own] },
            Breach("hint of 1025 bytes (WLAPI-10)", .hintTooLong) { $0.hint = String(repeating: "h", count: 1025) },
            Breach("hint of 1026 bytes in 513 characters", .hintTooLong) {
                $0.hint = String(repeating: "é", count: 513)
            },
            Breach("X.509 lifetime of nothing", .lifetimeOutOfRange(field: "X.509-SVID TTL")) { $0.x509TTL = .zero },
            Breach("negative X.509 lifetime", .lifetimeOutOfRange(field: "X.509-SVID TTL")) {
                $0.x509TTL = .seconds(-1)
            },
            Breach("X.509 lifetime above ten years", .lifetimeOutOfRange(field: "X.509-SVID TTL")) {
                $0.x509TTL = .seconds(10 * 365 * 86_400 + 1)
            },
            Breach("JWT lifetime of nothing", .lifetimeOutOfRange(field: "JWT-SVID TTL")) { $0.jwtTTL = .zero },
            Breach("JWT lifetime above ten years", .lifetimeOutOfRange(field: "JWT-SVID TTL")) {
                $0.jwtTTL = .seconds(10 * 365 * 86_400 + 1)
            },
            Breach("end that has come", .alreadyExpired) { $0.expiresAt = Given.start },
            Breach("end that has passed", .alreadyExpired) { $0.expiresAt = Given.start - 1 },
        ]
            + dnsNames.map { name in
                Breach("DNS name '\(name)'", .invalidDNSName(name)) { $0.dnsNames = ["a.example", name] }
            }
    }

    @Test("Each breach is refused by its own name", arguments: try breaches())
    func refuses(_ breach: Breach) throws {
        var contents = try Given.contents()
        try breach.change(&contents)
        #expect(throws: breach.error) { try check(contents) }
    }

    @Test("A plain entry, and one at every limit, pass")
    func limits() throws {
        var contents = try Given.contents()
        try check(contents)
        contents.selectors = try Given.selectors((0..<64).map { "unix:uid:\($0)" })
        contents.storesSVID = true
        contents.dnsNames = (0..<63).map { "n\($0).example" } + ["*.example"]
        contents.federatesWith = try (0..<64).map { try TrustDomain("d\($0).example") }
        contents.hint = String(repeating: "h", count: 1024)
        contents.x509TTL = .seconds(1)
        contents.jwtTTL = .seconds(10 * 365 * 86_400)
        contents.expiresAt = Given.start + 1
        #expect(throws: Never.self) { try check(contents) }
    }

    @Test(
        "Real DNS names pass",
        arguments: ["localhost", "a", "web.example.org", "*.web.example.org", "x--y.example", "1.2.3.4", "A.Example"])
    func dnsNames(name: String) throws {
        var contents = try Given.contents()
        contents.dnsNames = [name]
        #expect(throws: Never.self) { try check(contents) }
    }

    @Test("Names that only resemble reserved ones are free", arguments: ["/spire-agent/x", "/spired/x", "/a/spire/b"])
    func resemblesReserved(path: String) throws {
        #expect(throws: Never.self) { try check(try Given.contents(path)) }
    }

    @Test(
        "Nodes and workloads can both be parents, and so can the trust domain",
        arguments: ["/spire/agent/x", "/web", ""])
    func parents(path: String) throws {
        #expect(throws: Never.self) { try check(try Given.contents(parent: path)) }
    }

    @Test("Repeated selectors count once, and their order does not matter")
    func canonicalSelectors() throws {
        let one = try Given.contents(selectors: ["unix:uid:1", "unix:gid:2", "unix:uid:1"])
        let other = try Given.contents(selectors: ["unix:gid:2", "unix:uid:1"])
        #expect(one == other)
        #expect(one.key == other.key)
        #expect(one.selectors.count == 2)
    }

    @Test("Entry IDs that can stand in a URL pass", arguments: ["a", "A-b_c.9", String(repeating: "x", count: 255)])
    func entryIDs(id: String) {
        #expect(throws: Never.self) { try EntryRules.check(id: id) }
    }

    @Test(
        "Other entry IDs are refused",
        arguments: ["", String(repeating: "x", count: 256), "a b", "a/b", "é", "a\n", "a%20", "a:b"])
    func badEntryIDs(id: String) {
        #expect(throws: EntryError.invalidEntryID) { try EntryRules.check(id: id) }
    }

    @Test("Every refusal says something of its own")
    func texts() throws {
        let texts = try Self.breaches().map { "\($0.error)" }
        #expect(texts.allSatisfy { $0.count > 10 })
        #expect(Set(texts).count > 25)
    }

    private func check(_ contents: EntryContents) throws {
        try EntryRules.check(contents, in: Given.trustDomain(), now: Given.start)
    }
}

@Suite("The catalog of selectors")
struct SelectorCatalogTests {
    @Test("Whatever the vocabulary refuses is refused with its reason", arguments: Insistence.allForms)
    func refuses(insistence: Insistence) throws {
        let table: [(String, String?)] = [
            ("unix:uuid:1000", "unix:uid:1000"), ("unix:path:usr/bin/app", "unix:path:/usr/bin/app"),
            ("exec:sha265:x", "exec:sha256:<64 hex digits>"), ("unix:x", nil),
        ]
        for (text, nearest) in table {
            let selector = try Selector(parsing: text)
            #expect(throws: EntryError.selector(.unknown(selector, nearest: nearest))) {
                try SelectorCatalog.check(selector, insistence: insistence)
            }
        }
        let announced = try Selector(parsing: "launch:profile:x")
        #expect(throws: EntryError.selector(.announced(announced))) {
            try SelectorCatalog.check(announced, insistence: insistence)
        }
    }

    @Test(
        "A kind that nobody knows is for those who insist, or whose tools cannot say that they do",
        arguments: Insistence.allForms)
    func unknownKind(insistence: Insistence) throws {
        let selector = try Selector(parsing: "vault:role:x")
        guard insistence == .plain else {
            try SelectorCatalog.check(selector, insistence: insistence)
            return
        }
        let error = #expect(throws: EntryError.selector(.unknownKind(selector, nearest: nil))) {
            try SelectorCatalog.check(selector, insistence: insistence)
        }
        #expect(error?.canBeForced == true)
    }
}

extension Insistence {
    static let allForms: [Insistence] = [.unsaid, .plain, .forced]
}

@Suite("Filters of entries")
struct EntryFilterTests {
    @Test(
        "Sets match in each of the four ways",
        arguments: [
            (.exact, ["a", "b"], true), (.exact, ["b", "a"], true), (.exact, ["a"], false),
            (.exact, ["a", "b", "c"], false),
            (.exact, [], false),
            (.subset, ["a", "b"], true), (.subset, ["a"], true), (.subset, [], true), (.subset, ["a", "c"], false),
            (.superset, ["a", "b"], true), (.superset, ["a", "b", "c"], true), (.superset, ["a"], false),
            (.superset, [], false),
            (.any, ["a"], true), (.any, ["b", "c"], true), (.any, ["c"], false), (.any, [], false),
        ] as [(SetMatch<String>.Mode, [String], Bool)])
    func modes(mode: SetMatch<String>.Mode, candidate: [String], passes: Bool) {
        #expect(SetMatch(["a", "b"], mode: mode).admits(candidate) == passes)
    }

    @Test("An empty filter admits everything")
    func empty() throws {
        #expect(EntryFilter().admits(try Given.contents()))
    }

    @Test("Each criterion narrows alone")
    func criteria() throws {
        var contents = try Given.contents(selectors: ["unix:uid:1", "unix:gid:2"])
        contents.hint = "internal"
        contents.federatesWith = [try TrustDomain("other.example")]
        contents.isDownstream = true
        let criteria: [(change: (inout EntryFilter, Bool) throws -> Void, name: String)] = [
            ({ $0.spiffeID = try Given.id($1 ? "/web" : "/db") }, "SPIFFE ID"),
            ({ $0.parentID = try Given.id($1 ? "/spire/agent/one" : "/spire/agent/two") }, "parent ID"),
            (
                { $0.selectors = SetMatch(try Given.selectors([$1 ? "unix:uid:1" : "unix:uid:9"]), mode: .any) },
                "selectors"
            ),
            (
                {
                    $0.federatesWith = SetMatch([try TrustDomain($1 ? "other.example" : "third.example")], mode: .exact)
                },
                "federation"
            ),
            ({ $0.hint = $1 ? "internal" : "" }, "hint"),
            ({ $0.isDownstream = $1 }, "downstream"),
        ]
        var all = EntryFilter()
        for criterion in criteria {
            for matches in [true, false] {
                var filter = EntryFilter()
                try criterion.change(&filter, matches)
                #expect(filter.admits(contents) == matches, "\(criterion.name)")
                var rest = all
                try criterion.change(&rest, matches)
                #expect(rest.admits(contents) == matches, "\(criterion.name) with those before")
            }
            try criterion.change(&all, true)
        }
    }
}
