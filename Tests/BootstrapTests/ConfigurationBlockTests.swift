import Bootstrap
import Foundation
import TestSupport
import Testing

@Suite("A block of a configuration file")
struct ConfigurationBlockTests {
    @Test("Texts, lists, numbers, flags and blocks in it are read")
    func reads() throws {
        let block = try #require(
            try read(
                """
                other: 1
                ways:
                  first: { path: /a b, count: 7, on: true, list: [x, "y"], one: z }
                  empty:
                """))
        #expect(block.names == ["empty", "first"])
        let first = try #require(try block.block("first"))
        #expect(try first.text("path") == "/a b")
        #expect(try first.required("path") == "/a b")
        #expect(try first.number("count", in: 1...9) == 7)
        #expect(try first.flag("on") == true)
        #expect(try first.texts("list") == ["x", "y"])
        #expect(try first.texts("one") == ["z"])
        #expect(try first.texts("none").isEmpty)
        #expect(try first.text("none") == nil)
        #expect(try block.block("empty")?.names == [])
        #expect(try block.block("none")?.names == nil)
        #expect(throws: Never.self) { try block.requireOnly(["first", "empty"]) }
    }

    @Test("What is not of the kind asked for is named")
    func wrongKinds() throws {
        let block = try #require(try read("ways: { text: a, list: [a, b], deep: { x: 1 }, number: 12 }"))
        for read: (ConfigurationBlock) throws -> Any? in [
            { try $0.number("text", in: 0...9) }, { try $0.number("number", in: 0...9) }, { try $0.flag("text") },
            { try $0.texts("deep") }, { try $0.text("deep") }, { try $0.block("text") }, { try $0.required("none") },
            { try $0.requireOnly(["text"]) },
        ] {
            let failure = #expect(throws: Failure.self) { try read(block) }
            #expect(failure?.status == .configuration)
            #expect(failure?.message.contains("ways") == true)
        }
    }

    @Test("A file without the key has no block, and a key that is no mapping is refused")
    func absent() throws {
        #expect(try read("other: 1")?.names == nil)
        for text in ["ways: [a]", "ways: text", "ways: { a: { b: [ { c: d } ] } }"] {
            #expect(throws: Failure.self) { try read(text) }
        }
    }

    private func read(_ text: String) throws -> ConfigurationBlock? {
        try TemporaryFolder.use { folder in
            try text.write(toFile: "\(folder)/c.yaml", atomically: true, encoding: .utf8)
            return try ConfigurationBlock(path: "\(folder)/c.yaml", key: "ways")
        }
    }
}
