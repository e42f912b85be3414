import CommandLine
import Foundation
import SPIFFE
import SwiftProtobuf
import Testing
import WorkloadAPIProtos

@Suite("What the agent tells, rendered")
struct AttestationRenderingTests {
    private static let process = Mintmark_V1_AttestedProcess.with {
        $0.pid = 42
        $0.instance = "b/7"
        $0.level = 1
        $0.levelAdmittingJit = 3
        $0.methods = ["credentials", "pidfd"]
        $0.selectors = ["unix:uid:1"]
        $0.facts = [
            .with {
                $0.name = "executable"
                $0.value = "/opt/agent"
                $0.provenance = "file"
            },
            .with {
                $0.name = "unit"
                $0.unknown = "no systemd"
            },
        ]
        $0.missing = [
            .with {
                $0.level = 2
                $0.fact = "not-traced"
                $0.reason = "process 17 traces it"
            }
        ]
    }

    private static let match = Mintmark_V1_MatchedEntry.with {
        $0.entryID = "e1"
        $0.spiffeID = "spiffe://example.org/a"
        $0.hint = "h"
    }

    private static let miss = Mintmark_V1_NearMiss.with {
        $0.entryID = "e2"
        $0.spiffeID = "spiffe://example.org/b"
        $0.minimumAssurance = 2
        $0.assuranceMissing = true
        $0.jitWouldDo = true
        $0.other = ["has expired"]
        $0.missingSelectors = [
            .with {
                $0.selector = "unix:uid:2"
                $0.found = ["unix:uid:1"]
                $0.remedy = "say unix:uid:1"
            }
        ]
    }

    private static func json(_ rendering: Rendering) throws -> NSDictionary {
        try #require(
            try JSONSerialization.jsonObject(with: Data(rendering.text(.json).utf8)) as? NSDictionary)
    }

    private static var processJSON: [String: Any] {
        [
            "pid": 42, "instance": "b/7", "level": 1, "level_admitting_jit": 3, "methods": ["credentials", "pidfd"],
            "facts": [
                ["name": "executable", "value": "/opt/agent", "from": "file", "unknown": NSNull()],
                ["name": "unit", "value": NSNull(), "from": NSNull(), "unknown": "no systemd"],
            ],
            "selectors": ["unix:uid:1"],
            "missing": [["level": 2, "fact": "not-traced", "reason": "process 17 traces it"]],
        ]
    }

    private static var matchJSON: [String: Any] {
        [
            "entry_id": "e1", "spiffe_id": "spiffe://example.org/a", "hint": "h",
        ]
    }

    private static var missJSON: [String: Any] {
        [
            "entry_id": "e2", "spiffe_id": "spiffe://example.org/b",
            "missing_selectors": [["selector": "unix:uid:2", "found": ["unix:uid:1"], "remedy": "say unix:uid:1"]],
            "min_assurance": 2, "assurance_missing": true, "jit_would_do": true, "other": ["has expired"],
        ]
    }

    @Test("explain, for programs")
    func explanationJSON() throws {
        let rendering = AttestationRendering.explanation(
            .with {
                $0.process = Self.process
                $0.matches = [Self.match]
                $0.nearMisses = [Self.miss]
                $0.hiddenNearMisses = 4
            })
        let more: [String: Any] = [
            "matches": [Self.matchJSON], "near_misses": [Self.missJSON], "hidden_near_misses": 4,
        ]
        #expect(try Self.json(rendering) == Self.processJSON.merging(more) { $1 } as NSDictionary)
    }

    @Test("explain, for people")
    func explanationTable() {
        let rendering = AttestationRendering.explanation(
            .with {
                $0.process = Self.process
                $0.nearMisses = [Self.miss]
                $0.hiddenNearMisses = 4
            })
        #expect(
            rendering.table == """
                Process   42
                Instance  b/7
                Level     AL1 (AL3 for entries with --allow-jit)
                Shown by  credentials, pidfd

                Facts
                FACT        FROM  VALUE
                executable  file  /opt/agent
                unit              unknown: no systemd

                Missing for higher levels
                LEVEL  FACT        WHY
                AL2    not-traced  process 17 traces it

                Entries that match
                none: this process gets no identity

                Nearest of the others
                spiffe://example.org/b  e2
                  lacks unix:uid:2
                    found unix:uid:1
                    say unix:uid:1
                  asks for AL2
                    --allow-jit on the entry would do
                  has expired

                4 more entries are not shown.
                """)
    }

    @Test("explain does not let what it shows move the cursor or begin a line")
    func hostileText() {
        var process = Self.process
        process.facts[0].value = "/a\u{1b}[2J\nEntries that match\u{202e}\u{2028}\u{85}"
        process.missing[0].reason = "x\r\ny"
        let table = AttestationRendering.explanation(.with { $0.process = process }).table
        #expect(table.contains("/a\\u{1b}[2J\\u{a}Entries that match\\u{202e}\\u{2028}\\u{85}"))
        #expect(table.contains("x\\u{d}\\u{a}y"))
        let unseen = table.unicodeScalars.filter { $0.properties.generalCategory == .control && $0 != "\n" }
        #expect(unseen.isEmpty)
    }

    @Test("suggest proposes a command that a shell reads as it was meant")
    func suggestions() throws {
        let rendering = AttestationRendering.suggestions(
            .with {
                $0.process = Self.process
                $0.minimumAssurance = 3
                $0.allowJit = true
                $0.warnings = ["mind"]
                $0.suggestions = [
                    .with {
                        $0.selector = "unix:path:/it's $(here)"
                        $0.strength = 30
                        $0.level = 1
                        $0.explanation = "path"
                        $0.proposed = true
                    },
                    .with {
                        $0.selector = "unix:uid:1"
                        $0.strength = 20
                        $0.explanation = "user"
                    },
                ]
            })
        #expect(
            rendering.table == """
                   SELECTOR                 LEVEL  WHAT IT SAYS
                *  unix:path:/it's $(here)  AL1    path
                   unix:uid:1               AL0    user

                Proposed (*):
                  mintmark entry create --spiffe-id ID \\
                    --selector 'unix:path:/it'\\''s $(here)' \\
                    --min-assurance 3 --allow-jit
                """)
        let expected: [String: Any] = [
            "pid": 42, "level": 1, "min_assurance": 3, "allow_jit": true, "warnings": ["mind"],
            "selectors": [
                [
                    "selector": "unix:path:/it's $(here)", "strength": 30, "level": 1, "explanation": "path",
                    "proposed": true,
                ],
                ["selector": "unix:uid:1", "strength": 20, "level": 0, "explanation": "user", "proposed": false],
            ],
        ]
        #expect(try Self.json(rendering) == expected as NSDictionary)
        let nothing = AttestationRendering.suggestions(.init())
        #expect(nothing.table == "nothing is known of this process")
    }

    @Test("test says yes, or what is lacking")
    func test() throws {
        let yes = AttestationRendering.test(
            .with {
                $0.process = Self.process
                $0.matches = true
            })
        #expect(yes.table == "matches process 42 (AL1)")
        #expect(
            try Self.json(yes) == Self.processJSON.merging(["matches": true, "miss": NSNull()]) { $1 } as NSDictionary)
        let no = AttestationRendering.test(
            .with {
                $0.process = Self.process
                $0.miss = Self.miss
            })
        #expect(no.table.hasPrefix("spiffe://example.org/b  e2\n  lacks unix:uid:2\n"))
        #expect(
            try Self.json(no)
                == Self.processJSON.merging(["matches": false, "miss": Self.missJSON]) { $1 } as NSDictionary)
    }

    @Test("whois shows who is there, with whose identities, or why that is not known")
    func peers() throws {
        let rendering = AttestationRendering.peers(
            .with {
                $0.peers = [
                    .with {
                        $0.process = Self.process
                        $0.matches = [Self.match]
                        $0.role = "listens at port 80"
                    },
                    .with {
                        $0.process = .with { $0.pid = 7 }
                        $0.failure = "gone"
                        $0.role = "connected from port 80"
                    },
                ]
            })
        #expect(
            rendering.table == """
                PID  LEVEL  EXECUTABLE  IDENTITIES              ROLE
                42   AL1    /opt/agent  spiffe://example.org/a  listens at port 80
                7    ?                  gone                    connected from port 80
                """)
        let peers = try #require(try Self.json(rendering)["peers"] as? [NSDictionary])
        #expect(peers.count == 2)
        let more: [String: Any] = ["matches": [Self.matchJSON], "role": "listens at port 80", "failure": NSNull()]
        #expect(peers.first == Self.processJSON.merging(more) { $1 } as NSDictionary)
        #expect(peers.last?["failure"] as? String == "gone")
        #expect(AttestationRendering.peers(.init()).table == "no process")
    }

    @Test("doctor shows each check, and what would mend it")
    func host() throws {
        let rendering = AttestationRendering.host(
            .with {
                $0.highestLevel = 2
                $0.checks = [
                    .with {
                        $0.name = "rights"
                        $0.standing = .good
                        $0.detail = "all"
                    },
                    .with {
                        $0.name = "exec journal"
                        $0.standing = .missing
                        $0.detail = "not allowed"
                        $0.consequence = "no AL3"
                        $0.remedy = "be root"
                    },
                    .with {
                        $0.name = "ptrace"
                        $0.standing = .limited
                        $0.detail = "d"
                    },
                    .with { $0.name = "later" },
                ]
            })
        #expect(
            rendering.table.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) == [
                "Processes of this machine can reach AL2.", "", "good   rights: all",
                "lacks  exec journal: not allowed", "       so: no AL3", "       to change it: be root",
                "limit  ptrace: d", "?      later: ",
            ])
        let checks = try #require(try Self.json(rendering)["checks"] as? [NSDictionary])
        #expect(checks.compactMap { $0["standing"] as? String } == ["good", "missing", "limited", "unknown"])
        #expect(try Self.json(rendering)["highest_level"] as? Int == 2)
    }
}

@Suite("Words for a shell")
struct ShellTextTests {
    static let words: [(word: String, quoted: String)] = [
        ("unix:path:/opt/a-b_c.d+e=f,g@h%i", "unix:path:/opt/a-b_c.d+e=f,g@h%i"), ("", "''"), ("a b", "'a b'"),
        ("it's", "'it'\\''s'"), ("'", "''\\'''"), ("$(id)", "'$(id)'"), ("`id`", "'`id`'"), ("a\nb", "'a\nb'"),
        ("~", "'~'"), ("*", "'*'"), ("\u{e9}", "'\u{e9}'"), ("a;b", "'a;b'"), ("#x", "'#x'"), ("a\\b", "'a\\b'"),
    ]

    @Test("stand as they are only where no shell would read more into them", arguments: words)
    func quoting(row: (word: String, quoted: String)) { #expect(ShellText.quoted(row.word) == row.quoted) }

    @Test("A quote that carries an accent ends no quotation")
    func combined() {
        let word = "/tmp/x'\u{301};id #"
        #expect(ShellText.quoted(word).unicodeScalars.elementsEqual("'/tmp/x'\\''\u{301};id #'".unicodeScalars))
    }

    @Test("A shell gives back every word", arguments: words.map(\.word) + ["x'\u{301};exit 9;'", "''''", "-n"])
    func shell(word: String) throws {
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", "printf %s \(ShellText.quoted(word))"]
        let output = Pipe()
        shell.standardOutput = output
        try shell.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        shell.waitUntilExit()
        if word == "-n" || shell.terminationStatus == 0 { #expect(Array(said) == Array(word.utf8)) }
        #expect(shell.terminationStatus == 0)
    }
}

@Suite("Sockets and processes, from the command line")
struct SocketNameTests {
    @Test("A port, a path or an inode")
    func names() throws {
        #expect(SocketName(argument: "80")?.name == .tcpPort(80))
        #expect(SocketName(argument: "65535")?.name == .tcpPort(65535))
        #expect(SocketName(argument: "/run/a b.sock")?.name == .unixPath("/run/a b.sock"))
        #expect(SocketName(argument: "inode:48213")?.name == .unixInode(48213))
        #expect(SocketName(argument: "inode:\(UInt64.max)")?.name == .unixInode(.max))
    }

    @Test(
        "nothing else",
        arguments: [
            "", "0", "-1", "+80", "65536", "80 ", " 80", "8o", "0x50", "./a", "a/b", "inode:", "inode:-1", "inode:+1",
            "inode:18446744073709551616", "inode:x", "INODE:1", "\u{661}",
        ])
    func bad(_ text: String) { #expect(SocketName(argument: text) == nil) }

    @Test("A process number is positive and fits")
    func pids() {
        #expect(ProcessNumber(argument: "1")?.pid == 1)
        #expect(ProcessNumber(argument: "\(Int32.max)")?.pid == .max)
        for text in ["", "0", "-1", "abc", "1.0", "2147483648", "0x1", "1 "] {
            #expect(ProcessNumber(argument: text) == nil, "\(text)")
        }
    }
}
