import Bootstrap
import Foundation
import TestSupport
import Testing

@Suite("A block of a configuration file")
struct ConfigurationBlockTests {
    @Test("Texts, lists, numbers, flags and blocks in it are read")
    func reads() async throws {
        let block = try #require(
            try await read(
                """
                other: 1
                ways:
                  first: { path: /a b, count: 7, on: true, list: [x, "y"], one: z }
                  empty:
                """))
        #expect(block.names == ["first", "empty"])
        let first = try #require(try block.block("first"))
        #expect(try first.text("path") == "/a b")
        #expect(try first.required("path") == "/a b")
        #expect(try first.number("count", in: 1...9) == 7)
        #expect(try first.flag("on") == true)
        #expect(try first.texts("list") == ["x", "y"])
        #expect(try first.texts("one") == ["z"])
        #expect(try first.texts("none") == nil)
        #expect(try first.text("none") == nil)
        #expect(try block.block("empty")?.names == [])
        #expect(try block.block("none")?.names == nil)
        #expect(throws: Never.self) { try block.allow(["first", "empty"]) }
    }

    @Test("What is not of the kind asked for is named")
    func wrongKinds() async throws {
        let block = try #require(try await read("ways: { text: a, list: [a, b], deep: { x: 1 }, number: 12 }"))
        for read: (ConfigurationBlock) throws -> Any? in [
            { try $0.number("text", in: 0...9) }, { try $0.number("number", in: 0...9) }, { try $0.flag("text") },
            { try $0.texts("deep") }, { try $0.text("deep") }, { try $0.block("text") }, { try $0.required("none") },
            { try $0.allow(["text"]) },
        ] {
            let failure = #expect(throws: Failure.self) { try read(block) }
            #expect(failure?.status == .configuration)
            #expect(failure?.message.contains("ways") == true)
        }
    }

    @Test("A file without the key has no block, and a key that is no mapping is refused")
    func absent() async throws {
        #expect(try await read("other: 1")?.names == nil)
        for text in ["ways: [a]", "ways: text", "ways: &a { b: *a }"] {
            await #expect(throws: Failure.self) { try await read(text) }
        }
    }

    private func read(_ text: String) async throws -> ConfigurationBlock? {
        try await TemporaryFolder.use { folder in
            try text.write(toFile: "\(folder)/c.yaml", atomically: true, encoding: .utf8)
            let keys = [
                ConfigurationKey("ways", help: "ways to do it"), ConfigurationKey("other", help: "another key"),
            ]
            return try await ConfigurationFile(
                path: "\(folder)/c.yaml", keys: keys, prefix: "MINTMARK_TEST", environment: [:]
            ).block("ways")
        }
    }
}
