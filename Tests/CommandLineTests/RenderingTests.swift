import SPIFFE
import Testing

import CommandLine

@Suite("Rendering")
struct RenderingTests {
    @Test("offers the three formats of the contract")
    func formats() {
        #expect(OutputFormat.allCases.map(\.rawValue) == ["table", "json", "yaml"])
        let rendering = Rendering(.members(["a": .integer(1)]), table: "A  1")
        #expect(rendering.text(.table) == "A  1")
        #expect(rendering.text(.json) == "{\n  \"a\": 1\n}")
        #expect(rendering.text(.yaml) == "a: 1")
    }

    @Test("ends no format with a newline; the one that writes adds it", arguments: OutputFormat.allCases)
    func noNewline(_ format: OutputFormat) {
        let values: [JSONValue] = [.members(["a": .array([])]), .array([]), .string("x\n"), .null]
        for value in values { #expect(!Rendering(value, table: "t").text(format).hasSuffix("\n")) }
    }
}

@Suite("Tables")
struct TableTextTests {
    @Test("align their columns, and leave no blanks at the end of a line")
    func rows() {
        #expect(
            TableText.rows(
                ["ID", "SPIFFE ID", "HINT"], [["1", "spiffe://a/b", ""], ["22", "x", "h"]], empty: "none")
                    == """
                    ID  SPIFFE ID     HINT
                    1   spiffe://a/b  \("")
                    22  x             h
                    """)
    }

    @Test("say so when there is nothing to show")
    func empty() {
        #expect(TableText.rows(["ID"], [], empty: "no entries") == "no entries")
        #expect(TableText.fields([]).isEmpty)
        #expect(TableText.fields([("Hint", "")]).isEmpty)
    }

    @Test("put names and values side by side, several lines below their name, and leave out what is empty")
    func fields() {
        #expect(
            TableText.fields([("ID", "1"), ("Hint", ""), ("Selectors", "a:b\nc:d"), ("X", "y")]) == """
                ID         1
                Selectors  a:b
                           c:d
                X          y
                """)
    }

    @Test("count characters, not bytes")
    func width() {
        #expect(
            TableText.rows(["A", "B"], [["\u{E9}\u{E9}", "1"], ["xx", "2"]], empty: "")
                == "A   B\n\u{E9}\u{E9}  1\nxx  2")
    }
}

@Suite("YAML")
struct YAMLTextTests {
    @Test(
        "keeps text as text, also where it looks like something else",
        arguments: [
            ("1", "\"1\""), ("1.5", "\"1.5\""), ("1e3", "\"1e3\""), ("0x1F", "\"0x1F\""), ("007", "\"007\""),
            ("true", "\"true\""), ("no", "\"no\""), ("y", "\"y\""), ("null", "\"null\""), ("~", "\"~\""), ("", "\"\""),
            (".inf", "\".inf\""), ("2027-01-15", "\"2027-01-15\""), ("12:30:45", "\"12:30:45\""),
            ("a: b", "\"a: b\""), ("# x", "\"# x\""), ("- x", "\"- x\""), ("*x", "\"*x\""), ("&x", "\"&x\""),
            ("!x", "\"!x\""), ("{a}", "\"{a}\""), (" x ", "\" x \""), ("\"", #""\"""#), ("\\", #""\\""#),
            ("a\tb", #""a\tb""#),
            ("\u{1B}", #""\e""#), ("\u{0}", #""\0""#), ("spiffe://example.org/w", "\"spiffe://example.org/w\""),
            ("unix:uid:1000", "\"unix:uid:1000\""),
        ])
    func text(_ text: String, _ yaml: String) {
        #expect(YAMLText.text(of: .members(["k": .string(text)])) == "k: \(yaml)")
        #expect(YAMLText.text(of: .array([.string(text)])) == "- \(yaml)")
    }

    @Test("writes other values plainly")
    func plain() {
        let value = JSONValue.members([
            "none": .null, "yes": .bool(true), "no_": .bool(false), "whole": .integer(-1),
            "big": .integer(UInt64.max), "part": .number("1.5"), "exponent": .number("1e3"), "list": .array([]),
            "object": .members([:]),
        ])
        #expect(
            YAMLText.text(of: value) == """
                none: null
                "yes": true
                no_: false
                whole: -1
                big: 18446744073709551615
                part: 1.5
                exponent: 1e3
                list: []
                object: {}
                """)
    }

    @Test("nests lists and objects")
    func nested() {
        let value = JSONValue.members([
            "entries": .array([.members(["id": .string("a"), "n": .integer(1)]), .members(["id": .string("b")])])
        ])
        #expect(
            YAMLText.text(of: value) == """
                entries:
                - id: "a"
                  n: 1
                - id: "b"
                """)
    }

    @Test("writes text of several lines as a block, as PEM is read best")
    func block() {
        #expect(
            YAMLText.text(of: .members(["pem": .string("-----A\nb\n-----C\n")])) == "pem: |\n  -----A\n  b\n  -----C")
        #expect(YAMLText.text(of: .members(["two": .string("a\nb")])) == "two: |-\n  a\n  b")
    }

    @Test(
        "keeps the names of members as text, too: claims are named by others",
        arguments: ["true", "1", "null", "~", "1.5"])
    func names(_ name: String) {
        let yaml = YAMLText.text(of: .members([name: .integer(1)]))
        #expect(yaml == "\"\(name)\": 1" || yaml == "'\(name)': 1")
    }
}
