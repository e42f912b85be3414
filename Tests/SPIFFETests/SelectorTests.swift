import SPIFFE
import Testing

@Suite("Selectors")
struct SelectorTests {
    @Test(
        "splits at the first colon",
        arguments: [
            ("unix:uid:1000", "unix", "uid:1000"), ("a:b", "a", "b"), ("unix:path:/opt/a:b", "unix", "path:/opt/a:b"),
            ("k::", "k", ":"), ("k: ", "k", " "),
        ])
    func parses(_ text: String, kind: String, value: String) throws {
        let selector = try Selector(parsing: text)
        #expect(selector.kind == kind)
        #expect(selector.value == value)
        #expect(selector.description == text)
        #expect(try Selector(kind: kind, value: value) == selector)
    }

    @Test(
        "names the first rule broken",
        arguments: [
            ("", .missingColon), ("unix", .missingColon), (":uid:0", .emptyKind), (":", .emptyKind),
            ("unix:", .emptyValue(kind: "unix")), ("unix:a\nb", .controlCharacter), ("un\tix:a", .controlCharacter),
            ("unix:\u{7F}", .controlCharacter), ("unix:a\u{0}", .controlCharacter),
        ] as [(String, SelectorError)])
    func refuses(_ text: String, because reason: SelectorError) {
        #expect(throws: reason) { try Selector(parsing: text) }
        #expect(!reason.description.isEmpty)
    }

    @Test("refuses a colon in the kind, because it could not be read back", arguments: ["a:b", ":", "a:"])
    func colonInKind(_ kind: String) {
        #expect(throws: SelectorError.colonInKind) { try Selector(kind: kind, value: "v") }
    }

    @Test("accepts 4096 bytes and refuses 4097")
    func longest() throws {
        let value = String(repeating: "v", count: Selector.maximumLength - 2)
        #expect(try Selector(kind: "k", value: value).description.utf8.count == 4096)
        #expect(throws: SelectorError.tooLong) { try Selector(kind: "k", value: value + "v") }
    }

    @Test("takes paths apart that only Unicode normalisation makes equal, as the kernel does")
    func comparesBytes() throws {
        #expect(try Selector(parsing: "unix:path:/opt/\u{212A}") != Selector(parsing: "unix:path:/opt/K"))
        #expect(try Selector(parsing: "unix:path:/opt/\u{E9}") != Selector(parsing: "unix:path:/opt/e\u{301}"))
    }

    @Test("orders by kind, then by value")
    func order() throws {
        let texts = ["a:a", "a:b", "b:a"]
        #expect(try texts.reversed().map { try Selector(parsing: $0) }.sorted().map(\.description) == texts)
    }
}
