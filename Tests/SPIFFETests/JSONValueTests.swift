import SPIFFE
import Testing

@Suite("JSON reading")
struct JSONValueParsingTests {
    @Test(
        "reads every kind of value",
        arguments: [
            ("null", .null), ("true", .bool(true)), ("false", .bool(false)), ("0", .number("0")),
            ("-0.5e+10", .number("-0.5e+10")), ("1E5", .number("1E5")), ("\"\"", .string("")),
            (" \t\r\n[ ] ", .array([])), ("{ }", .members([:])),
            ("[1,[2],{\"a\":null}]", .array([.number("1"), .array([.number("2")]), .members(["a": .null])])),
            (
                "{\"b\" : 1 , \"a\" : {\"\" : false}}",
                .members(["b": .number("1"), "a": .members(["": .bool(false)])])
            ),
        ] as [(String, JSONValue)])
    func reads(_ text: String, _ value: JSONValue) throws {
        #expect(try JSONValue(parsing: text.utf8) == value)
    }

    @Test(
        "refuses what is not JSON",
        arguments: [
            "", " ", "nul", "nulll", "True", "tru e", "undefined", "'a'", "a", "[", "]", "[1", "[1,", "[1,]", "[,1]",
            "[1 2]",
            "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}",
            "{,}", "\"", "\"a", "\"\\", "1 2", "{}{}", "[]x", "/**/1", "\u{FEFF}1", "\u{B}1", "\u{A0}1",
        ])
    func refuses(_ text: String) {
        let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: text.utf8) }
        #expect(error?.code == .invalidJSON)
    }

    @Test(
        "refuses numbers that RFC 8259 does not spell so",
        arguments: [
            "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x10", "NaN", "Infinity", "-Infinity", "1_000", "--1",
            "1.e5",
            "\u{661}", String(repeating: "1", count: 65),
        ])
    func refusesNumber(_ text: String) {
        let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: text.utf8) }
        #expect(error?.code == .invalidJSON)
    }

    @Test("keeps numbers exact, also beyond what a double holds")
    func exactNumbers() throws {
        let big = try JSONValue(parsing: "9223372036854775809".utf8)
        #expect(big.unsignedInteger == 9_223_372_036_854_775_809)
        #expect(big.compactText == "9223372036854775809")
        #expect(try JSONValue(parsing: "18446744073709551616".utf8).unsignedInteger == nil)
        #expect(try JSONValue(parsing: "-1".utf8).unsignedInteger == nil)
        #expect(try JSONValue(parsing: "1.5".utf8).unsignedInteger == nil)
        #expect(try JSONValue(parsing: "1.5".utf8).double == 1.5)
        #expect(try JSONValue(parsing: "\"1\"".utf8).double == nil)
        #expect(try JSONValue(parsing: String(repeating: "1", count: 64).utf8).double != nil)
    }

    @Test(
        "J24 refuses a member named twice, also when an escape hides it and however deep",
        arguments: [
            #"{"a":1,"a":1}"#, #"{"a":1,"b":2,"a":3}"#, #"{"sub":1,"\u0073ub":2}"#, #"[{"x":{"a":1,"a":2}}]"#,
            #"{"":1,"":2}"#, #"{"a":null,"a":null}"#,
        ])
    func refusesDuplicates(_ text: String) {
        let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: text.utf8) }
        #expect(error?.code == .invalidJSON)
    }

    @Test("J24 refuses a member named twice among many", arguments: [16, 17, 18, 100])
    func refusesDuplicateAmongMany(_ count: Int) throws {
        for position in [0, count / 2, count - 1] {
            let names = (0..<count).map { "m\($0)" } + ["m\(position)"]
            let text = "{" + names.map { "\"\($0)\":1" }.joined(separator: ",") + "}"
            let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: text.utf8) }
            #expect(error?.code == .invalidJSON)
        }
    }

    @Test("reads an object of many members in no more time than its length takes")
    func manyMembers() throws {
        let text = "{" + (0..<100_000).map { "\"m\($0)\":\($0)" }.joined(separator: ",") + "}"
        let object = try #require(try JSONValue(parsing: text.utf8, limit: 4 << 20).object)
        #expect(object.count == 100_000)
        #expect(object["m99999"]?.unsignedInteger == 99_999)
        #expect(object["m100000"] == nil)
        #expect(object.first { _ in true }?.name == "m0")
    }

    @Test(
        "J24 takes two names that Unicode calls equal for one, but answers to the one written alone",
        arguments: [1, 30])
    func equivalentNames(_ others: Int) throws {
        let rest = (0..<others).map { "\"m\($0)\":1" }.joined(separator: ",")
        let error = #expect(throws: SPIFFEError.self) {
            try JSONValue(parsing: "{\(rest),\"\u{E9}\":1,\"e\u{301}\":2}".utf8)
        }
        #expect(error?.code == .invalidJSON)
        let object = try #require(try JSONValue(parsing: "{\(rest),\"\u{E9}\":1}".utf8).object)
        #expect(object["\u{E9}"] == .number("1"))
        #expect(object["e\u{301}"] == nil)
    }

    @Test("allows the same name in different objects, and names that differ by case")
    func allowsSameNameElsewhere() throws {
        let object = try #require(try JSONValue(parsing: #"{"a":{"a":1},"A":{"a":2}}"#.utf8).object)
        #expect(object.count == 2)
        #expect(object["a"]?.object?["a"] == .number("1"))
        #expect(object["A"]?.object?["a"] == .number("2"))
    }

    @Test("nests up to the limit and no deeper", arguments: [("[", "]"), ("{\"a\":", "}")])
    func depth(_ open: String, _ close: String) throws {
        func nested(_ depth: Int) -> String {
            String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
        }
        #expect(try JSONValue(parsing: nested(JSONValue.maximumDepth).utf8).compactText.utf8.count > 1)
        let error = #expect(throws: SPIFFEError.self) {
            try JSONValue(parsing: nested(JSONValue.maximumDepth + 1).utf8)
        }
        #expect(error?.code == .invalidJSON)
    }

    @Test("survives a text that only opens brackets", arguments: ["[", "{\"a\":", "[{\"a\":"])
    func bomb(_ open: String) {
        let text = String(repeating: open, count: 100_000)
        let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: text.utf8) }
        #expect(error?.code == .invalidJSON)
    }

    @Test("reads up to the limit in bytes and no further")
    func size() throws {
        let text = "\"" + String(repeating: "x", count: 98) + "\""
        #expect(try JSONValue(parsing: text.utf8, limit: 100).string?.count == 98)
        let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: text.utf8, limit: 99) }
        #expect(error?.code == .invalidJSON)
    }

    @Test(
        "understands every escape",
        arguments: [
            (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"), (#""\u0041\u00e9\u00E9""#, "A\u{E9}\u{E9}"),
            (#""\u0000""#, "\u{0}"), (#""\ud83d\ude00""#, "\u{1F600}"), (#""\uDBFF\uDFFF""#, "\u{10FFFF}"),
            (#""\ud800\udc00""#, "\u{10000}"), (#""\uFFFF""#, "\u{FFFF}"), ("\"\u{1F511}\u{7F}\"", "\u{1F511}\u{7F}"),
        ])
    func escapes(_ text: String, _ string: String) throws {
        let parsed = try #require(try JSONValue(parsing: text.utf8).string)
        #expect(Array(parsed.unicodeScalars) == Array(string.unicodeScalars))
    }

    @Test(
        "refuses lone surrogates and malformed escapes",
        arguments: [
            #""\ud800""#, #""\udc00""#, #""\ud800\ud800""#, #""\ud800x""#, #""\ud800\n""#, #""\udc00\ud800""#,
            #""\u12""#,
            #""\u12g4""#, #""\u+123""#, #""\x41""#, #""\a""#, #""\U0041""#, #""\'""#, "\"\\\u{E9}\"", "\"\\u00\u{E9}\"",
        ])
    func refusesEscape(_ text: String) {
        let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: text.utf8) }
        #expect(error?.code == .invalidJSON)
    }

    @Test("refuses control characters inside strings", arguments: UInt8(0)..<0x20)
    func controlCharacters(_ byte: UInt8) {
        let bytes = [UInt8(ascii: "\""), byte, UInt8(ascii: "\"")]
        let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: bytes) }
        #expect(error?.code == .invalidJSON)
    }

    @Test(
        "refuses strings that are not UTF-8",
        arguments: [[0x80], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF]] as [[UInt8]])
    func notUTF8(_ bytes: [UInt8]) {
        let quote = [UInt8(ascii: "\"")]
        let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: quote + bytes + quote) }
        #expect(error?.code == .invalidJSON)
    }

    @Test("tells kinds apart when asked for one")
    func accessors() {
        #expect(JSONValue.bool(true).string == nil)
        #expect(JSONValue.string("a").array == nil)
        #expect(JSONValue.array([]).object == nil)
        #expect(JSONValue.null.double == nil)
        #expect(JSONValue.string("1").unsignedInteger == nil)
    }
}

@Suite("JSON writing")
struct JSONValueWritingTests {
    private static let sample = JSONValue.members([
        "z": .integer(-1), "a": .array([.null, .bool(true), .string("x")]), "empty": .members([:]), "none": .array([]),
    ])

    @Test("writes compactly in the order given")
    func compact() {
        #expect(Self.sample.compactText == #"{"z":-1,"a":[null,true,"x"],"empty":{},"none":[]}"#)
    }

    @Test("writes for people with two spaces a level")
    func pretty() {
        #expect(
            Self.sample.prettyText == """
                {
                  "z": -1,
                  "a": [
                    null,
                    true,
                    "x"
                  ],
                  "empty": {},
                  "none": []
                }
                """)
    }

    @Test("escapes what would break a text or a terminal")
    func escapes() {
        #expect(
            JSONValue.string("\"\\\n\r\t\u{0}\u{1B}\u{7F}/\u{E9}\u{1F511}").compactText
                == #""\"\\\n\r\t\u0000\u001b\u007f/"# + "\u{E9}\u{1F511}\"")
    }

    @Test("replaces and removes members among many", arguments: [3, 16, 17, 40])
    func changesAmongMany(_ count: Int) {
        var object = JSONObject((0..<count).map { ("m\($0)", .integer($0)) })
        object["m1"] = .bool(true)
        object["m0"] = nil
        #expect(object.map(\.name) == (1..<count).map { "m\($0)" })
        #expect(object["m0"] == nil)
        #expect(object["m1"] == .bool(true))
        #expect(object["m\(count - 1)"] == .integer(count - 1))
        #expect(object == JSONObject([("m1", .bool(true))] + (2..<count).map { ("m\($0)", .integer($0)) }))
        object["m0"] = .null
        #expect(object.map(\.name).last == "m0")
    }

    @Test("reads back what it wrote, scalar for scalar", arguments: UInt32(0)..<0x100)
    func everyScalar(_ code: UInt32) throws {
        let scalar = try #require(Unicode.Scalar(code))
        // A carriage return before a line feed is one character to Swift, and two to JSON.
        let text = "\r\(Character(scalar))\n"
        let value = JSONValue.members(["\(Character(scalar))": .string(text)])
        for written in [value.compactText, value.prettyText] {
            let object = try #require(try JSONValue(parsing: written.utf8).object)
            let member = try #require(object.first { _ in true })
            #expect(Array(member.name.unicodeScalars) == [scalar])
            #expect(member.value.string.map { Array($0.unicodeScalars) } == Array(text.unicodeScalars))
        }
    }

    @Test("keeps one value for a name: the later one, in the earlier one's place")
    func replaces() {
        var object = JSONObject([("a", .null), ("b", .null), ("a", .bool(true))])
        #expect(JSONValue.object(object).compactText == #"{"a":true,"b":null}"#)
        object["a"] = nil
        object["c"] = nil
        #expect(object.count == 1)
        #expect(JSONValue.object(object).compactText == #"{"b":null}"#)
    }
}
