import Foundation
import Testing

/// A program of the machine's, run to its end.
enum Command {
    /// It failed, or is not there.
    struct Failed: Error {
        let command: [String]
        let status: Int32
        let output: String
    }

    static func isInstalled(_ name: String) -> Bool { path(of: name) != nil }

    static func path(of name: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }

    /// Runs a program, and waits for its end without holding a thread.
    ///
    /// - Returns: All that it wrote.
    /// - Throws: ``Failed`` with all that it wrote, unless it exits with 0.
    @discardableResult
    static func run(_ words: [String], environment: [String: String] = [:]) async throws -> String {
        guard let program = path(of: words[0]) else { throw Failed(command: words, status: 127, output: "not found") }
        let output = FileManager.default.temporaryDirectory.appendingPathComponent("command-\(UUID())").path
        try Data().write(to: URL(fileURLWithPath: output))
        defer { try? FileManager.default.removeItem(atPath: output) }
        let file = try #require(FileHandle(forWritingAtPath: output))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = Array(words.dropFirst())
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = file
        process.standardError = file
        let status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        let text = FileManager.default.contents(atPath: output).map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard status == 0 else { throw Failed(command: words, status: status, output: text) }
        return text
    }
}
