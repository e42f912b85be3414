import Bootstrap
import Foundation
import Glibc
import Logging
import Platform
import TestSupport
import Testing

@Suite("Log lines", .serialized)
struct LineLogHandlerTests {
    /// What a body writes to standard error, which is passed on afterwards.
    ///
    /// Others may write at the same time; callers look for lines of their own.
    private static func standardError(during body: () -> Void) throws -> [String] {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/stderr"
            let file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            try #require(file >= 0)
            let original = dup(STDERR_FILENO)
            try #require(original >= 0)
            dup2(file, STDERR_FILENO)
            body()
            dup2(original, STDERR_FILENO)
            close(original)
            close(file)
            let bytes = try #require(try LocalFileSystem().read(path, limit: 1 << 24))
            // What the test runner was writing may stand before a record on the same line.
            let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { line in
                line.range(of: "2027-01-15T08:00:00.").map { String(line[$0.lowerBound...]) } ?? String(line)
            }
            let others = lines.filter { !$0.hasPrefix("2027-01-15T08:00:00.") }
            if !others.isEmpty { FileHandle.standardError.write(Data((others.joined(separator: "\n") + "\n").utf8)) }
            return lines
        }
    }

    private static func logger(_ level: Logger.Level = .info) -> Logger {
        Logger(label: "test") { _ in LineLogHandler(level: level, clock: ManualClock()) }
    }

    @Test("date each record and put its facts in order of key")
    func line() throws {
        let lines = try Self.standardError {
            var logger = Self.logger()
            logger[metadataKey: "b.own"] = "2"
            logger.info("svid renewed", metadata: ["c": "3", "a": "1"])
        }
        #expect(lines.contains("2027-01-15T08:00:00.000Z info svid renewed a=1 b.own=2 c=3"))
    }

    @Test("let a record's own fact win over the logger's")
    func merge() throws {
        let lines = try Self.standardError {
            var logger = Self.logger()
            logger[metadataKey: "k"] = "logger"
            logger.error("merge of facts", metadata: ["k": "record"])
        }
        #expect(lines.contains("2027-01-15T08:00:00.000Z error merge of facts k=record"))
    }

    @Test("leave out what is below their level")
    func level() throws {
        let lines = try Self.standardError {
            let logger = Self.logger(.warning)
            logger.info("level test, quiet")
            logger.warning("level test, loud")
        }
        #expect(lines.filter { $0.contains("level test") } == ["2027-01-15T08:00:00.000Z warning level test, loud"])
    }

    @Test(
        "quote facts that are not one word and escape what could forge a line",
        arguments: [
            ("plain-word_1.2:/x@y", "plain-word_1.2:/x@y"), ("", #""""#), ("two words", #""two words""#),
            (#"say "hi""#, #""say \"hi\"""#), (#"back\slash"#, #"back\slash"#), (#"a \ b"#, #""a \\ b""#),
            ("a\nb", #""a\nb""#), ("a\r\nb", #""a\u{d}\nb""#), ("a\tb", #""a\u{9}b""#),
            ("\u{1B}[31mred", #""\u{1b}[31mred""#),
            ("\u{0}", #""\u{0}""#), ("\u{7F}", #""\u{7f}""#), ("\u{9B}x", #""\u{9b}x""#), ("\u{85}", #""\u{85}""#),
            ("caf\u{E9}", "\"caf\u{E9}\""),
            ("x\n2027-01-15T08:00:00.000Z error forged", #""x\n2027-01-15T08:00:00.000Z error forged""#),
        ])
    func quoting(_ fact: String, _ written: String) throws {
        let lines = try Self.standardError { Self.logger().info("quoting test", metadata: ["fact": "\(fact)"]) }
        let own = lines.filter { $0.contains("quoting test") }
        #expect(own == ["2027-01-15T08:00:00.000Z info quoting test fact=\(written)"])
        #expect(!lines.contains { $0.hasSuffix("error forged") })
    }

    @Test("keep facts with the logger that was given them")
    func metadata() {
        var handler = LineLogHandler(level: .info, clock: ManualClock())
        #expect(handler[metadataKey: "a"] == nil)
        handler[metadataKey: "a"] = "1"
        var copy = handler
        copy[metadataKey: "a"] = "2"
        copy.logLevel = .debug
        #expect(handler[metadataKey: "a"] == "1")
        #expect(handler.metadata.count == 1)
        #expect(handler.logLevel == .info)
    }

    @Test("redact secrets, like everything else that prints them")
    func secrets() throws {
        let lines = try Self.standardError {
            Self.logger().info("secret test", metadata: ["token": "\(SecretText("s3cr3t"))"])
        }
        #expect(lines.contains("2027-01-15T08:00:00.000Z info secret test token=<redacted>"))
    }
}
