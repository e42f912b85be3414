import Foundation
import Glibc
import Synchronization
import Testing

/// Tokens of SoftHSM2, made by its own tool in a folder of this process alone.
enum SoftHSM {
    static let module =
        [
            "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
        ].first { FileManager.default.fileExists(atPath: $0) }

    /// Whether tests with tokens can run; else they are skipped, with this reason.
    static let isInstalled = module != nil && tool("softhsm2-util") != nil
    static let needed: Testing.Comment = "needs SoftHSM2 (apt-get install softhsm2)"

    /// Whether tests can also look at a token from outside.
    static let hasExaminer = isInstalled && tool("pkcs11-tool") != nil
    static let neededExaminer: Testing.Comment = "needs SoftHSM2 and pkcs11-tool (apt-get install softhsm2 opensc)"

    static let pin = "271828"
    private static let count = Atomic(0)

    /// The library is initialized once in a process, so all tests share its folder, which goes with the process.
    private static let configuration: String = {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mintmark-softhsm-\(getpid())").path
        let path = "\(folder)/softhsm2.conf"
        try? FileManager.default.createDirectory(atPath: "\(folder)/tokens", withIntermediateDirectories: true)
        try? "directories.tokendir = \(folder)/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
            .write(toFile: path, atomically: true, encoding: .utf8)
        setenv("SOFTHSM2_CONF", path, 1)
        atexit { try? FileManager.default.removeItem(atPath: SoftHSM.folder) }
        return path
    }()

    private static var folder: String { URL(fileURLWithPath: configuration).deletingLastPathComponent().path }

    /// Hands out a token that no other test has.
    ///
    /// - Returns: Its label; its PIN is that of all tests.
    static func makeToken() throws -> String {
        let number = count.add(1, ordering: .relaxed).newValue
        guard number <= (try labels.get()).count else { throw ToolFailure(tool: "tests", output: "too few tokens") }
        return try labels.get()[number - 1]
    }

    /// Made all at once: the library looks for tokens when it is initialized, and not again.
    private static let labels = Result {
        try (1...32).map { number in
            let label = "mintmark-\(number)"
            try run(
                "softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "314159", "--pin", pin)
            return label
        }
    }

    /// Runs a tool on the token of a label, logged in.
    static func examine(_ label: String, _ arguments: String...) throws -> String {
        try run("pkcs11-tool", ["--module", module ?? "", "--token-label", label, "--login", "--pin", pin] + arguments)
    }

    @discardableResult
    private static func run(_ name: String, _ arguments: String...) throws -> String { try run(name, arguments) }

    @discardableResult
    private static func run(_ name: String, _ arguments: [String]) throws -> String {
        _ = configuration
        let process = Process()
        process.executableURL = URL(fileURLWithPath: tool(name) ?? name)
        process.arguments = arguments
        process.environment = ["SOFTHSM2_CONF": configuration, "PATH": "/usr/bin:/bin"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw ToolFailure(tool: name, output: text) }
        return text
    }

    private static func tool(_ name: String) -> String? {
        ["/usr/bin", "/usr/local/bin"].map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}

struct ToolFailure: Error {
    let tool: String
    let output: String
}
