import SPIFFE
import Testing

@Suite("What shows that a selector is not true")
struct FamilyAbsenceTests {
    private static let digest = String(repeating: "a", count: 64)
    private static let other = String(repeating: "b", count: 64)

    private static func set(_ texts: [String]) throws -> Set<Selector> {
        Set(try texts.map { try Selector(parsing: $0) })
    }

    /// The selector, what was found, and whether that shows its absence.
    static let table: [(selector: String, found: [String], isShown: Bool)] = [
        ("unix:uid:0", ["unix:uid:1000"], true), ("unix:uid:0", [], false), ("unix:uid:0", ["unix:uid:0"], false),
        ("unix:uid:0", ["unix:gid:1000"], false),
        // Groups are read with the user, or not at all.
        ("unix:supplementary_gid:27", ["unix:uid:1000"], true), ("unix:supplementary_gid:27", ["unix:path:/x"], false),
        // Names count only when every number has one.
        (
            "unix:supplementary_group:sudo",
            ["unix:user:a", "unix:supplementary_gid:5", "unix:supplementary_group:audio"], true
        ),
        ("unix:supplementary_group:sudo", ["unix:user:a", "unix:supplementary_gid:5"], false),
        ("unix:supplementary_group:sudo", ["unix:supplementary_gid:5", "unix:supplementary_group:audio"], false),
        ("exec:script:sha256:\(digest)", ["exec:chain:\(other)"], true),
        ("exec:script:sha256:\(digest)", ["exec:sha256:\(other)"], false),
        ("code:lib:sha256:\(digest)", ["code:set:\(other)"], true),
        ("code:lib:sha256:\(digest)", ["code:lib:sha256:\(other)"], false),
        ("code:anon-exec:jit", ["code:anon-exec:none"], true), ("code:anon-exec:jit", [], false),
        ("ns:mnt:host", ["ns:mnt:4026531840"], true), ("ns:mnt:host", ["ns:mnt:host", "ns:mnt:1"], false),
        // With one word, to find nothing is to know nothing.
        ("proc:traced:false", [], false), ("proc:caps:none", ["proc:nnp:true"], false),
        ("proc:ancestor:exec:sha256:\(digest)", ["proc:ancestor:exec:sha256:\(other)", "proc:depth:1"], false),
        // Nobody here produces it.
        ("k8s:ns:prod", ["k8s:ns:dev"], false),
    ]

    @Test("Only what was found shows it, never what was not", arguments: table)
    func absence(row: (selector: String, found: [String], isShown: Bool)) throws {
        #expect(
            try FamilyAbsence.isShown(of: Selector(parsing: row.selector), in: Self.set(row.found)) == row.isShown,
            "\(row)")
    }

    @Test("To have found nothing never shows anything, of any family")
    func nothing() throws {
        for family in SelectorFamily.known {
            let selector = try Selector(parsing: "\(family.prefix):x")
            #expect(!FamilyAbsence.isShown(of: selector, in: []), "\(family.prefix)")
        }
    }
}

@Suite("Identities from templates")
struct IDTemplateTests {
    private static func set(_ texts: String...) throws -> Set<Selector> {
        Set(try texts.map { try Selector(parsing: $0) })
    }

    private let prefix = Result { try SPIFFEID("spiffe://example.org/agent") }

    @Test("Proven facts fill the places, below the prefix")
    func fills() throws {
        let found = try Self.set("unix:user:ada", "unix:uid:1000", "unix:gid:5")
        let prefix = try prefix.get()
        for (text, path) in [
            ("{unix:user}", "/agent/ada"), ("users/{unix:user}", "/agent/users/ada"),
            ("u-{unix:uid}.x/{unix:user}", "/agent/u-1000.x/ada"),
        ] {
            let template = try IDTemplate(parsing: text)
            let identity = try #require(template.identity(under: prefix, found: found))
            #expect(identity.path == path)
            #expect(template.admits(identity, under: prefix))
            #expect("\(template)" == text)
        }
    }

    @Test(
        "A fact that is unknown, ambiguous or unfit for a segment fills nothing",
        arguments: [
            [], ["unix:user:a", "unix:user:b"], ["unix:user:a/b"], ["unix:user:.."], ["unix:user:."],
            ["unix:user:ä"], ["unix:user:a b"], ["unix:user:a%2f"], ["unix:user:\(String(repeating: "a", count: 129))"],
        ])
    func refusesFacts(found: [String]) throws {
        let template = try IDTemplate(parsing: "{unix:user}")
        let found = Set(try found.map { try Selector(parsing: $0) })
        #expect(template.identity(under: try prefix.get(), found: found) == nil)
    }

    @Test(
        "What the template cannot become is not admitted",
        arguments: [
            "spiffe://example.org/agent", "spiffe://example.org/agent/u-", "spiffe://example.org/agent/u-a/b",
            "spiffe://example.org/agent/x-a", "spiffe://example.org/agents/u-a", "spiffe://other.example/agent/u-a",
            "spiffe://example.org/u-a", "spiffe://example.org/agent/agent/u-a", "spiffe://example.org/agent/u-..",
        ])
    func refusesIdentities(text: String) throws {
        let template = try IDTemplate(parsing: "u-{unix:user}")
        #expect(!template.admits(try SPIFFEID(text), under: try prefix.get()), "\(text)")
        #expect(template.admits(try SPIFFEID("spiffe://example.org/agent/u-a"), under: try prefix.get()))
    }

    @Test(
        "A template that is none is refused by the first rule it breaks",
        arguments: [
            ("", .empty), ("users", .noPlace), ("/{unix:user}", .badSegment("")), ("{unix:user}/", .badSegment("")),
            ("a//{unix:user}", .badSegment("")), ("{unix:user", .badSegment("{unix:user")),
            ("{unix:user}{unix:uid}", .badSegment("{unix:user}{unix:uid}")), ("../{unix:user}", .badSegment("..")),
            ("ä{unix:user}", .badSegment("ä{unix:user}")), ("{unix:path}", .unknownFamily("unix:path")),
            ("{unix:supplementary_gid}", .unknownFamily("unix:supplementary_gid")), ("{}", .unknownFamily("")),
            (String(repeating: "a/", count: 8) + "{unix:user}", .tooLong),
            (String(repeating: "a", count: 513), .tooLong),
        ] as [(String, IDTemplateError)])
    func refusesTemplates(text: String, reason: IDTemplateError) {
        #expect(throws: reason) { try IDTemplate(parsing: text) }
    }

    @Test("Every family that can fill a place has one value at most")
    func familiesAreSingle() throws {
        for prefix in IDTemplate.families {
            let family = try #require(SelectorFamily.known.first { $0.prefix == prefix })
            // Of a script, too, there is one at most: a chain of several says each of them, and then nothing is filled.
            #expect(FamilyAbsence(of: family) == .byItsValue || prefix == "exec:script:sha256")
        }
    }
}
