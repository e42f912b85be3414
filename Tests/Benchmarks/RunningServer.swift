import Foundation

/// A `mintmark up` of this benchmark's own, with an entry for whoever runs it.
final class RunningServer {
    let endpoint: String
    private let process: Process
    private let folder: String

    private init(process: Process, folder: String) {
        self.process = process
        self.folder = folder
        endpoint = "unix://\(folder)/state/workload.sock"
    }

    /// Starts a server and waits until it serves.
    static func start(binary: String) async throws -> RunningServer {
        let folder =
            "/tmp/mintmark-bench-\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: 0...UInt32.max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let process = try launch(binary, ["up", "--state", "\(folder)/state", "--ready-file", "\(folder)/ready"])
        let server = RunningServer(process: process, folder: folder)
        while !FileManager.default.fileExists(atPath: "\(folder)/ready") {
            guard process.isRunning else { throw CocoaError(.executableLoad) }
            try await Task.sleep(for: .milliseconds(2))
        }
        return server
    }

    /// Registers whoever runs the benchmark, by uid.
    func registerSelf(binary: String) throws {
        let create = try Self.launch(
            binary,
            [
                "entry", "create", "--state", "\(folder)/state", "--spiffe-id", "spiffe://example.org/bench",
                "--selector", "unix:uid:\(getuid())", "--wait",
            ])
        create.waitUntilExit()
        guard create.terminationStatus == 0 else { throw CocoaError(.executableLoad) }
    }

    /// Resident memory of the server now.
    func residentKiB() -> Int {
        let status = (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }

    /// Stops the server and removes its folder.
    func stop() {
        process.terminate()
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func launch(_ binary: String, _ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }
}

/// From the start of the process to the first SVID that could be fetched.
enum StartUpBenchmark {
    static func run(binary: String, count: Int) async throws -> (measurement: Measurement, idleKiB: Int) {
        let clock = ContinuousClock()
        var samples: [Duration] = []
        var idle = 0
        let start = clock.now
        for number in 0..<count {
            let before = clock.now
            let server = try await RunningServer.start(binary: binary)
            samples.append(clock.now - before)
            if number == 0 {
                try await Task.sleep(for: .seconds(3))
                idle = server.residentKiB()
            }
            server.stop()
        }
        return (Measurement(name: "start to ready", samples: samples, elapsed: clock.now - start), idle)
    }
}
