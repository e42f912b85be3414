import AgentDomain
import Crypto
import Foundation
import LinuxKernel
import Platform
import SPIFFE
import WorkloadAttestation

/// What it takes to find out about a connected process, with everything cached that may be, and the system calls alone
/// beside it.
enum EvidenceBenchmark {
    // `sample` is the sample agent, built beside this; each row has four times `count` samples.
    static func run(sample: String, count: Int) throws -> [[String]] {
        var rows: [[String]] = []
        for subject in try [Subject.sample(sample), Subject.node()].compactMap({ $0 }) {
            defer { subject.end() }
            rows += try measure(subject, count: count * 4)
        }
        return rows
    }

    private static func measure(_ subject: Subject, count: Int) throws -> [[String]] {
        let handle = try ProcessHandle(pid: subject.pid)
        let directory = try ProcessDirectory(of: handle)
        let history = FixedHistory(try record(of: directory))
        let clock = SystemWallClock()
        let sources = EvidenceSources(host: try HostAbilities.probe(), history: history)
        let session = try EvidenceSession(
            of: handle, credentials: PeerCredentials(pid: subject.pid, uid: geteuid(), gid: getegid()), using: sources)
        let budget = HashingBudget(cache: sources.digests, clock: clock)
        let connection = ConnectionFacts(isPinned: true, isLive: true)
        try warm(session, budget, connection)
        let mappings = try directory.executableMappings()
        let floor = RawCalls(pid: subject.pid, mappings: mappings)
        var (al2, al3, raw2, raw3): ([Duration], [Duration], [Duration], [Duration]) = ([], [], [], [])
        var levels: Set<AssuranceLevel> = []
        for number in -50..<count {
            // In turn, so that whatever else the machine does falls on all.
            let lowest = ContinuousClock().measure { floor.run(libraries: false) }
            let lower = ContinuousClock().measure { floor.run(libraries: true) }
            let two = try ContinuousClock().measure { _ = try judge(session, .program, connection) }
            let three = try ContinuousClock().measure {
                levels.insert(try judge(session, [.program, .libraries], connection).levelAdmittingJIT)
            }
            guard number >= 0 else { continue }
            raw2.append(lowest)
            raw3.append(lower)
            al2.append(two)
            al3.append(three)
        }
        let named = [
            ("system calls for AL2", raw2), ("warm evidence at AL2", al2), ("system calls for AL3", raw3),
            ("warm evidence at \(levels.sorted().map(\.description).joined(separator: "/"))", al3),
        ].map { name, samples in
            Measurement(
                name: "\(subject.name) (\(mappings.count) mappings): \(name)", samples: samples,
                elapsed: samples.reduce(.zero, +))
        }
        let ratios = [(named[1], named[0]), (named[3], named[2])].map { $0.quantile(0.5) / $1.quantile(0.5) }
        return named.map(\.row) + [
            [
                "- in parts of the system calls", "", "",
                ratios.map { "\(($0 * 100).rounded() / 100)" }.joined(separator: ", "), "",
            ]
        ]
    }

    private static func judge(
        _ session: EvidenceSession, _ needs: EvidenceNeeds, _ connection: ConnectionFacts
    ) throws -> Attestation {
        guard case .complete(let evidence) = try session.gather(needs, connection: connection) else {
            throw EvidenceBenchmarkError.cold
        }
        return session.judge(evidence).attestation
    }

    /// Hashes what is needed; there is nothing to hash afterwards.
    private static func warm(
        _ session: EvidenceSession, _ budget: HashingBudget, _ connection: ConnectionFacts
    ) throws {
        guard case .needsHashing(let requests) = try session.gather([.program, .libraries], connection: connection)
        else { return }
        let done = DispatchSemaphore(value: 0)
        Task.detached {
            _ = try? await budget.digests(of: requests, for: geteuid())
            done.signal()
        }
        done.wait()
    }

    private static func record(of directory: ProcessDirectory) throws -> ExecRecord {
        let file = try directory.openExecutable()
        var hash = SHA256()
        try file.read(limit: file.size) { hash.update(bufferPointer: $0) }
        let program = ExecutedFile(
            identity: file.identity, path: .known(try directory.executablePath(), .journal),
            digest: .measured(Hex.encode(hash.finalize())))
        return ExecRecord(
            generation: 1, image: .known(ExecutedImage(program: program), .journal), parent: .unknown(.notAsked))
    }
}

enum EvidenceBenchmarkError: Error {
    case cold
}

/// A journal that says the same of everyone, at once.
private struct FixedHistory: ExecHistory {
    private let fixed: Fact<ExecRecord>

    init(_ record: ExecRecord) { fixed = .known(record, .journal) }

    func record(of instance: ProcessInstance, pid: Int32) -> Fact<ExecRecord> { fixed }

    func watch(
        _ instance: ProcessInstance, pid: Int32, notify: @escaping @Sendable (ProcessChange) -> Void
    ) -> ProcessWatch { ProcessWatch {} }
}

/// A process that is looked at.
private final class Subject {
    let name: String
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    var pid: Int32 { process.processIdentifier }

    /// It waits for an agent that is not there.
    static func sample(_ path: String) throws -> Subject? {
        guard FileManager.default.fileExists(atPath: path) else {
            print("no \(path): build it first, by 'swift build -c release --product sample-agent'")
            return nil
        }
        return try Subject("sample agent", [path, "--follow", "--wait", "3600"], settling: 1_000_000)
    }

    /// A heap of 1 GiB, every page of it touched; nil where there is no Node.
    static func node() throws -> Subject? {
        guard let path = ["/usr/bin/node", "/usr/local/bin/node"].first(where: FileManager.default.fileExists) else {
            return nil
        }
        let program =
            "const a=[];for(let i=0;i<1024;i++)a.push(Buffer.alloc(1<<20,1));"
            + "console.log('ready');process.stdin.resume()"
        let subject = try Subject("node, 1 GiB heap", [path, "--max-old-space-size=2048", "-e", program])
        _ = subject.output.fileHandleForReading.availableData
        return subject
    }

    private init(_ name: String, _ command: [String], settling pause: UInt32 = 100_000) throws {
        self.name = name
        process.environment = ["SPIFFE_ENDPOINT_SOCKET": "unix:///nonexistent/workload.sock"]
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        (process.standardInput, process.standardOutput) = (input, output)
        try process.run()
        usleep(pause)
    }

    func end() {
        try? input.fileHandleForWriting.close()
        process.terminate()
        process.waitUntilExit()
    }
}

/// The system calls that evidence needs, without looking at what they say.
private struct RawCalls {
    private typealias Control = @convention(c) (Int32, UInt, UnsafeMutableRawPointer) -> Int32

    private let root: Int32
    private let ranges: [(start: UInt64, end: UInt64)]
    private let nameless: Int
    private let files: [Int32]
    private let control: Control?
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: 64 << 10, alignment: 16)

    init(pid: Int32, mappings: [ExecutableMapping]) {
        root = open("/proc/\(pid)", O_RDONLY | O_DIRECTORY)
        ranges = mappings.filter { $0.backing != .anonymous }.map { ($0.start, $0.end) }
        nameless = mappings.count { if case .file = $0.backing { false } else { true } }
        var seen: Set<ExecutableMapping.Backing> = []
        files = mappings.compactMap { mapping in
            guard case .file = mapping.backing, seen.insert(mapping.backing).inserted else { return nil }
            let (start, end) = (String(mapping.start, radix: 16), String(mapping.end, radix: 16))
            return open("/proc/\(pid)/map_files/\(start)-\(end)", O_RDONLY)
        }
        control = dlsym(nil, "ioctl").map { unsafeBitCast($0, to: Control.self) }
    }

    func run(libraries: Bool) {
        read("status")
        read("auxv")
        for link in ["ns/user", "ns/mnt", "ns/net", "exe"] {
            _ = readlinkat(root, link, buffer.assumingMemoryBound(to: CChar.self), 4096)
        }
        var status = stat()
        _ = fstatat(root, "exe", &status, 0)
        for file in files { _ = fstat(file, &status) }
        query()
        scan()
    }

    private func read(_ name: String) {
        let file = openat(root, name, O_RDONLY)
        while Glibc.read(file, buffer, 64 << 10) > 0 {}
        close(file)
    }

    /// PROCMAP_QUERY over all that is executable, and once more for what has no file.
    private func query() {
        guard let control else { return }
        let maps = openat(root, "maps", O_RDONLY)
        let words = buffer.bindMemory(to: UInt64.self, capacity: 13)
        var address: UInt64 = 0
        while true {
            for index in 0..<13 { words[index] = 0 }
            (words[0], words[1], words[2]) = (104, 4 | 0x10, address)
            guard control(maps, 0xC068_6611, buffer) == 0 else { break }
            address = words[4]
        }
        for _ in 0..<nameless {
            (words[1], words[2]) = (4 | 0x10, 0)
            _ = control(maps, 0xC068_6611, buffer)
        }
        close(maps)
    }

    /// PAGEMAP_SCAN over each range.
    private func scan() {
        guard let control else { return }
        let pagemap = openat(root, "pagemap", O_RDONLY)
        let words = buffer.bindMemory(to: UInt64.self, capacity: 16)
        for range in ranges {
            for (index, word) in [96, 0, range.start, range.end, 0, 0, 1, 1, 4, 4, 24, 24].enumerated() {
                words[index] = UInt64(word)
            }
            words[5] = UInt64(UInt(bitPattern: buffer + 4096))
            _ = control(pagemap, 0xC060_6610, buffer)
        }
        close(pagemap)
    }
}
