import SPIFFE
import Testing

private let digest = String(repeating: "0123456789abcdef", count: 4)

@Suite("The vocabulary of selectors")
struct SelectorVocabularyTests {
    /// One family: what passes, what does not, and what is proposed then.
    struct Row: Sendable, CustomTestStringConvertible {
        let prefix: String
        let good: [String]
        let bad: [String: String]
        var testDescription: String { prefix }
    }

    private static let digests: @Sendable (String) -> Row = { prefix in
        Row(
            prefix: prefix, good: [digest],
            bad: [digest.uppercased(): digest, "abc": "<64 hex digits>", "": "…", "\(digest)0": "<64 hex digits>"])
    }
    private static let decimals: @Sendable (String) -> Row = { prefix in
        Row(
            prefix: prefix, good: ["0", "1000", "4294967295"],
            bad: ["-1": "1000", "+1": "1000", "007": "1000", "root": "1000", " 1": "1000", "": "…"])
    }
    private static let texts: @Sendable (String) -> Row = {
        Row(prefix: $0, good: ["x", "a:b", "ä b"], bad: ["": "…"])
    }
    private static let paths: @Sendable (String) -> Row = {
        Row(prefix: $0, good: ["/", "/a/b", "/with:colon"], bad: ["a/b": "/a/b", "": "…"])
    }

    static let rows: [Row] =
        [
            "unix:sha256", "exec:sha256", "exec:script:sha256", "exec:chain", "code:set", "code:lib:sha256",
            "proc:parent:exec:sha256", "proc:ancestor:exec:sha256", "container:image-digest:sha256",
        ].map(digests)
        + [
            "unix:uid", "unix:gid", "unix:supplementary_gid", "proc:gen", "proc:depth", "cgroup:id", "exe:owner",
        ].map(decimals)
        + [
            "unix:user", "unix:group", "unix:supplementary_group", "proc:instance", "systemd:id",
            "systemd:user_unit", "container:id", "container:name", "docker:label", "docker:image_id", "exe:fs",
        ].map(texts)
        + ["unix:path", "exec:path", "cgroup:path", "systemd:fragment_path"].map(paths)
        + [
            Row(prefix: "code:anon-exec", good: ["none", "jit"], bad: ["non": "none", "yes": "none|jit"]),
            Row(prefix: "code:text", good: ["clean"], bad: ["Clean": "clean", "dirty": "clean"]),
            Row(prefix: "proc:traced", good: ["false"], bad: ["true": "false", "flase": "false"]),
            Row(prefix: "proc:nnp", good: ["true", "false"], bad: ["1": "true|false", "True": "true"]),
            Row(prefix: "proc:seccomp", good: ["none", "strict", "filter"], bad: ["filtre": "filter"]),
            Row(prefix: "proc:caps", good: ["none"], bad: ["all": "none"]),
            Row(prefix: "ns:user", good: ["init"], bad: ["host": "init", "4026531837": "init"]),
            Row(prefix: "ns:mnt", good: ["host", "4026531841"], bad: ["hots": "host", "-1": "host|INODE"]),
            Row(prefix: "ns:pid", good: ["host", "4026531836"], bad: ["init": "host|INODE"]),
            Row(
                prefix: "container:label", good: ["a=b", "a=", "a=b=c"], bad: ["a": "NAME=VALUE", "=b": "NAME=VALUE"]),
            Row(prefix: "exe:writable-by-caller", good: ["true", "false"], bad: ["flase": "false"]),
            Row(prefix: "exe:pkg:deb", good: ["python3=3.11.2-6"], bad: ["python3": "NAME=VALUE"]),
        ]

    @Test("Every family that there is is tried here, once")
    func complete() {
        #expect(Self.rows.map(\.prefix).sorted() == SelectorFamily.known.map(\.prefix).sorted())
        #expect(Set(SelectorFamily.known.map(\.prefix)).count == SelectorFamily.known.count)
    }

    @Test("What attestors produce passes and is known by its family", arguments: rows)
    func good(_ row: Row) throws {
        for value in row.good {
            let selector = try Selector(parsing: "\(row.prefix):\(value)")
            #expect(throws: Never.self) { try SelectorVocabulary.check(selector) }
            #expect(SelectorVocabulary.family(of: selector)?.prefix == row.prefix)
        }
    }

    @Test("What they do not is refused, with a spelling that shows how", arguments: rows)
    func bad(_ row: Row) throws {
        for (value, nearest) in row.bad {
            let selector = try Selector(parsing: "\(row.prefix):\(value)")
            let error = #expect(throws: SelectorVocabularyError.self) { try SelectorVocabulary.check(selector) }
            #expect(error == .unknown(selector, nearest: "\(row.prefix):\(nearest)"))
        }
    }

    @Test("A family says in one line what it is for")
    func meanings() {
        for family in SelectorFamily.known {
            #expect(!family.meaning.isEmpty && !family.meaning.contains("\n") && family.meaning.count < 40)
            #expect(family.spelling.hasPrefix("\(family.prefix):"))
            #expect((0...100).contains(family.strength))
        }
    }

    @Test(
        "A misspelt key or kind is refused with the nearest whole spelling",
        arguments: [
            ("unx:uid:1", "unix:uid:1"), ("UNIX:uid:1", "unix:uid:1"), ("unx:uuid:1", "unix:uid:1"),
            ("exec:sha265:\(digest)", "exec:sha256:\(digest)"), ("exec:sha256", "exec:sha256:…"),
            ("exec:skript:sha256:\(digest)", "exec:script:sha256:\(digest)"),
            ("exce:sha256:\(digest)", "exec:sha256:\(digest)"), ("code:anonexec:none", "code:anon-exec:none"),
            ("proc:parnt:exec:sha256:\(digest)", "proc:parent:exec:sha256:\(digest)"),
            ("containr:name:x", "container:name:x"), ("sytsemd:id:x.service", "systemd:id:x.service"),
            ("exe:writable_by_caller:false", "exe:writable-by-caller:false"), ("exe:pgk:deb:a=1", "exe:pkg:deb:a=1"),
            ("ns:mount:host", "ns:mnt:host"), ("systemd:uid:x", "systemd:id:x"), ("cgruop:path:/x", "cgroup:path:/x"),
            ("proc:tracd:no", "proc:traced:false"),
        ])
    func nearest(text: String, nearest: String) throws {
        let selector = try Selector(parsing: text)
        let error = #expect(throws: SelectorVocabularyError.self) { try SelectorVocabulary.check(selector) }
        #expect(error?.nearest == nearest)
    }

    @Test("What is proposed passes, unless it says that something is to be filled in", arguments: rows)
    func proposalsPass(_ row: Row) throws {
        for value in row.bad.keys {
            let selector = try Selector(parsing: "\(row.prefix):\(value)")
            let error = #expect(throws: SelectorVocabularyError.self) { try SelectorVocabulary.check(selector) }
            let nearest = try #require(error?.nearest)
            if nearest.contains(where: { "…<|".contains($0) }) || nearest.hasSuffix("NAME=VALUE") { continue }
            #expect(throws: Never.self) { try SelectorVocabulary.check(Selector(parsing: nearest)) }
        }
    }

    @Test(
        "What resembles nothing is refused without a guess",
        arguments: ["unix:certificate:x", "unix::1", "exe:x", "proc:zzz:1", "exec:script:md5:x", "code:x"])
    func noGuess(text: String) throws {
        let selector = try Selector(parsing: text)
        #expect(throws: SelectorVocabularyError.unknown(selector, nearest: nil)) {
            try SelectorVocabulary.check(selector)
        }
    }

    @Test(
        "A kind that nobody knows is told from a misspelt key", arguments: ["vault:role:x", "x:y", "kubernetes:ns:a"])
    func unknownKind(text: String) throws {
        let selector = try Selector(parsing: text)
        #expect(throws: SelectorVocabularyError.unknownKind(selector, nearest: nil)) {
            try SelectorVocabulary.check(selector)
        }
    }

    @Test(
        "A kind that is kept for later is refused as such",
        arguments: [
            "launch:profile:x", "task:id:1", "verity:sha256:\(digest)", "ima:x", "sig:x", "human:sub:x", "hint:a",
        ])
    func announced(text: String) throws {
        let selector = try Selector(parsing: text)
        #expect(throws: SelectorVocabularyError.announced(selector)) { try SelectorVocabulary.check(selector) }
    }

    @Test(
        "What other attestors produce passes unread",
        arguments: [
            "k8s:ns:default", "docker:env:A=B", "docker:image_config_digest:sha256:x", "windows:user_name:x",
            "spiffe_id:spiffe://example.org/spire/agent/x", "aws_iid:account:1", "x509pop:subject:cn:x",
            "join_token:x", "aws_secretsmanager:secretname:x",
        ])
    func foreign(text: String) throws {
        let selector = try Selector(parsing: text)
        #expect(throws: Never.self) { try SelectorVocabulary.check(selector) }
        #expect(SelectorVocabulary.family(of: selector) == nil)
    }

    @Test("A very long selector is judged as quickly as a short one")
    func long() throws {
        let selector = try Selector(parsing: "unix:" + String(repeating: "zz:", count: 1300))
        #expect(throws: SelectorVocabularyError.unknown(selector, nearest: nil)) {
            try SelectorVocabulary.check(selector)
        }
    }
}

@Suite("Default terms")
struct AssuranceDefaultsTests {
    /// Selectors, and the level by default, with just-in-time compilers, and at the least.
    static let table: [(selectors: [String], plain: Int, jit: Int, floor: Int)] = [
        (["unix:uid:1"], 0, 3, 0), (["unix:uid:1", "unix:gid:1", "unix:user:a", "unix:group:b"], 0, 3, 0),
        (["unix:supplementary_gid:1", "unix:supplementary_group:x"], 0, 3, 0),
        (["unix:path:/bin/x"], 2, 3, 1), (["unix:sha256:\(digest)"], 2, 3, 1),
        (["unix:uid:1", "unix:path:/bin/x"], 2, 3, 1), (["exec:sha256:\(digest)"], 3, 3, 3),
        (["exec:path:/x"], 3, 3, 3), (["code:set:\(digest)"], 3, 3, 3), (["code:text:clean"], 2, 3, 2),
        (["unix:uid:1", "proc:parent:exec:sha256:\(digest)"], 3, 3, 3), (["proc:traced:false"], 2, 3, 2),
        (["ns:user:init"], 2, 3, 2), (["systemd:id:x.service"], 2, 3, 1), (["docker:label:a:b"], 2, 3, 1),
        (["container:name:x"], 2, 3, 2), (["exe:owner:0"], 2, 3, 2), (["k8s:ns:default"], 0, 3, 0),
        (["k8s:ns:default", "unix:path:/x"], 2, 3, 1), (["spiffe_id:spiffe://example.org/x"], 0, 3, 0), ([], 0, 3, 0),
    ]

    @Test("Terms follow from the selectors", arguments: table)
    func terms(row: (selectors: [String], plain: Int, jit: Int, floor: Int)) throws {
        let selectors = try row.selectors.map { try Selector(parsing: $0) }
        let defaults = AssuranceDefaults()
        #expect(defaults.terms(for: selectors).minimum.number == row.plain)
        #expect(defaults.terms(for: selectors).allowsJIT == false)
        #expect(defaults.terms(for: selectors, allowsJIT: true).minimum.number == row.jit)
        #expect(defaults.terms(for: selectors, allowsJIT: true).allowsJIT)
        #expect(AssuranceDefaults.floor(of: selectors).level.number == row.floor)
    }

    @Test("Another default holds for entries that name a program, and never goes below what a selector needs")
    func configured() throws {
        let weak = AssuranceDefaults(program: .executableLink)
        let strong = AssuranceDefaults(program: .measuredExec)
        let cases: [(String, Int, Int)] = [
            ("unix:uid:1", 0, 0), ("unix:path:/x", 1, 3), ("ns:user:init", 2, 3), ("exec:path:/x", 3, 3),
        ]
        for (text, low, high) in cases {
            let selectors = [try Selector(parsing: text)]
            #expect(weak.terms(for: selectors).minimum.number == low)
            #expect(strong.terms(for: selectors).minimum.number == high)
        }
    }

    @Test("The floor says which selector needs it")
    func culprit() throws {
        let selectors = try ["unix:uid:1", "exec:path:/x", "ns:user:init"].map { try Selector(parsing: $0) }
        #expect(AssuranceDefaults.floor(of: selectors).selector == selectors[1])
        #expect(AssuranceDefaults.floor(of: selectors.prefix(1)).selector == nil)
    }
}

@Suite("Bare interpreters")
struct BareInterpreterTests {
    @Test(
        "are known by their names, with or without a version",
        arguments: [
            "python", "python3", "python3.13", "Python3.11", "python3.13t", "python3.11-dbg", "pypy3.10", "node",
            "node22", "nodejs", "bash", "sh", "dash", "zsh", "perl", "perl5.40.1", "ruby3.3", "java", "php8.3", "deno",
            "bun", "lua5.4", "busybox", "Rscript",
        ])
    func interpreters(name: String) { #expect(BareInterpreter.isNamed(name)) }

    @Test(
        "are not what only resembles them",
        arguments: [
            "", "reviewer", "pythonista", "python3-config", "node-gyp", "node_exporter", "shell", "sshd", "javac",
            "bashful", "3", "python3.11.evil", "perldoc", "sample-agent",
        ])
    func others(name: String) { #expect(!BareInterpreter.isNamed(name)) }

    @Test("make an entry bare, unless what they run is measured")
    func entries() throws {
        func bare(_ texts: String...) throws -> String? {
            BareInterpreter.path(in: try texts.map { try Selector(parsing: $0) })?.description
        }
        #expect(try bare("unix:path:/usr/bin/python3.13", "unix:uid:1") == "unix:path:/usr/bin/python3.13")
        #expect(try bare("exec:path:/opt/node/bin/node") == "exec:path:/opt/node/bin/node")
        #expect(try bare("unix:path:/usr/bin/python3", "exec:script:sha256:\(digest)") == nil)
        // One that runs no script has a chain as well.
        #expect(
            try bare("unix:path:/usr/bin/python3", "exec:chain:\(digest)") == "unix:path:/usr/bin/python3")
        #expect(try bare("unix:path:/python3/agent") == nil)
        #expect(try bare("unix:path:/", "unix:uid:1") == nil)
        #expect(try bare("unix:user:python3") == nil)
    }
}
