import Foundation
import NodeAttestation
import Platform
import SPIFFE
import Testing

/// What `certs/make` makes with openssl and ssh-keygen, in a folder of this process's own.
enum Material {
    struct CannotMake: Error {
        let output: String
    }

    private static let made: Result<String, any Error> = Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "mm-certs-\(ProcessInfo.processInfo.processIdentifier)"
        ).path
        _ = try run(root.appendingPathComponent("certs/make").path, "--force", "--out", folder)
        return folder
    }

    private static var root: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    static func path(_ name: String) throws -> String { try "\(made.get())/\(name)" }

    static func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }

    /// Runs a program, which must succeed.
    static func run(_ program: String, _ arguments: String..., input: [UInt8] = []) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
        (process.standardInput, process.standardOutput, process.standardError) = (stdin, stdout, stderr)
        try process.run()
        try stdin.fileHandleForWriting.write(contentsOf: input)
        try stdin.fileHandleForWriting.close()
        let output = try stdout.fileHandleForReading.readToEnd() ?? Data()
        let complaint = try stderr.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw CannotMake(output: String(decoding: output + complaint, as: UTF8.self))
        }
        return Array(output)
    }
}

/// A node that answers at once, by a prover or by whatever a test makes of its answers.
struct Node: ChallengeExchange {
    let prover: any NodeProver
    var change: @Sendable ([UInt8]) -> [UInt8] = { $0 }

    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        change(try await prover.answer(to: challenge))
    }
}

/// A node that says the same whatever it is asked.
struct DeafNode: ChallengeExchange {
    let answer: [UInt8]

    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] { answer }
}

extension NodeAttestationContext {
    static func now(from address: String? = "127.0.0.1", agentKey: [UInt8] = [1], at now: Date = Date()) throws
        -> NodeAttestationContext
    {
        NodeAttestationContext(
            trustDomain: try TrustDomain("example.org"), now: now, peerAddress: address, agentKey: agentKey)
    }
}

/// The kind of a failure, without its words.
enum Outcome: Equatable {
    case attested, malformed, refused, exchange, unavailable
}

/// What an attestation comes to.
func outcome(_ body: () async throws(NodeAttestationError) -> AttestedNode) async -> Outcome {
    do throws(NodeAttestationError) {
        _ = try await body()
        return .attested
    } catch {
        switch error {
        case .malformed: return .malformed
        case .refused: return .refused
        case .exchange: return .exchange
        case .unavailable: return .unavailable
        }
    }
}

/// Payloads that no attestor may take for evidence.
let brokenPayloads: [[UInt8]] =
    ["", "{", "[]", "null", "\"x\"", "{}", "{\"a\":1}", String(repeating: "[", count: 5000), "\u{0}"].map {
        Array($0.utf8)
    }
    + [[0xFF, 0xFE], [UInt8](repeating: 0x30, count: 70_000)]
