import Foundation
import Glibc
import LinuxKernel
import Testing
import WorkloadAttestation

/// Whether this host lets tests run an exec journal, and why not.
enum JournalHost {
    static let refusal: String? = {
        guard geteuid() == 0 else { return "needs root" }
        do {
            let journal = try ExecJournal(ExecJournalConfiguration(fileSystems: .mounts([]), runsInBackground: false))
            journal.stop()
            return nil
        } catch { return "\(error)" }
    }()

    static var isAble: Bool { refusal == nil }
    static let reason: Comment = "needs root, the proc connector, perf events and fanotify in the initial namespaces"

    /// A C compiler, for programs that play the attacker.
    static let compiler: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .flatMap { folder in ["cc", "clang", "gcc"].map { "\(folder)/\($0)" } }
        .first { access($0, X_OK) == 0 }

    /// The program of Tests/JournalHost, next to this one.
    static func program() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        for folder in [own, CommandLine.arguments[0]] {
            let path = URL(fileURLWithPath: folder).deletingLastPathComponent().appendingPathComponent("journal-host")
                .path
            if access(path, X_OK) == 0 { return path }
        }
        for word in CommandLine.arguments where word.hasSuffix(".xctest") {
            let path = URL(fileURLWithPath: word).deletingLastPathComponent().appendingPathComponent("journal-host")
                .path
            if access(path, X_OK) == 0 { return path }
        }
        throw LinuxError("find journal-host", code: ENOENT)
    }

    static func bootID() throws -> String {
        try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// One after the other: they start programs that they have just written.
@Suite("Exec journal", .serialized)
enum JournalTests {}

/// A folder on a file system of its own, in an image file that is mounted for the test, so that marks concern no other.
final class ImageMount {
    let path: String
    private let image: String

    init() throws {
        path = "/tmp/mintmark-journal-\(UInt32.random(in: 0..<UInt32.max))"
        image = path + ".img"
        try #require(mkdir(path, 0o755) == 0)
        for command in [
            ["truncate", "-s", "64M", image], ["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, path],
        ] {
            try #require(Shell.run(command) == 0, "\(command)")
        }
    }

    deinit {
        _ = Shell.run(["umount", "-l", path])
        rmdir(path)
        unlink(image)
    }

    /// Puts a program of a user there, with bytes at its end that make its digest its own.
    func program(_ name: String, copying source: String = "/bin/sleep", owner: UInt32 = 1000, tail: String? = nil)
        throws
        -> String
    {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: source))
        bytes.append(Data((tail ?? name).utf8))
        return try put(name, bytes, owner: owner)
    }

    func put(_ name: String, _ bytes: Data, owner: UInt32 = 1000) throws -> String {
        let file = "\(path)/\(name)"
        try bytes.write(to: URL(fileURLWithPath: file))
        try #require(chmod(file, 0o755) == 0)
        try #require(chown(file, owner, owner) == 0)
        return file
    }

    func script(_ name: String, _ text: String, owner: UInt32 = 1000) throws -> String {
        try put(name, Data(text.utf8), owner: owner)
    }

    /// Compiles a program.
    func compile(_ name: String, _ source: String, flags: [String] = []) throws -> String {
        let compiler = try #require(JournalHost.compiler)
        let text = "\(path)/\(name).c"
        try source.write(toFile: text, atomically: false, encoding: .utf8)
        let file = "\(path)/\(name)"
        try #require(Shell.run([compiler, "-O1", "-w", "-o", file, text] + flags) == 0)
        try #require(chown(file, 1000, 1000) == 0)
        return file
    }

    /// Files must be older than an exec by more than the file system's clock steps.
    func settle() { usleep(30_000) }
}

enum Shell {
    /// Runs a command to its end.
    static func run(_ words: [String]) -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return -1 }
        process.waitUntilExit()
        return process.terminationStatus
    }

    static func digest(_ path: String) throws -> String {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["sha256sum", path]
        process.standardOutput = pipe
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return String(text.prefix(64))
    }
}

/// A child of the test.
final class TestProcess {
    let pid: Int32
    let instance: ProcessInstance
    private let pidfd: ProcessHandle
    private var isReaped = false

    /// Starts a program; a pipe gives back when it has been executed.
    init(_ path: String, _ arguments: [String] = ["30"]) throws {
        var pid: pid_t = 0
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        var code = posix_spawn(&pid, path, &actions, nil, words, environ)
        // Another test may be starting a program, which inherits what is open for writing until it is executed.
        for _ in 0..<100 where code == ETXTBSY {
            usleep(10_000)
            code = posix_spawn(&pid, path, &actions, nil, words, environ)
        }
        try #require(code == 0, "\(path): \(String(cString: strerror(code)))")
        self.pid = pid
        pidfd = try ProcessHandle(pid: pid)
        instance = ProcessInstance(
            bootID: try JournalHost.bootID(), mark: .pidfs(inode: try #require(ProcessHandle.pidfsInode(of: pid))))
    }

    /// What a journal knows once its exec is done: whoever starts a program goes on a little earlier.
    func record(in journal: ExecJournal, after generation: UInt64 = 0) -> Fact<ExecRecord> {
        var record = journal.record(of: instance, pid: pid)
        _ = eventually {
            record = journal.record(of: instance, pid: pid)
            return record.value.map { $0.generation > generation } ?? true
        }
        return record
    }

    /// The same, once its program is measured.
    func settled(in journal: ExecJournal) async throws -> Fact<ExecRecord> {
        _ = record(in: journal)
        return try await journal.settled(instance, pid: pid, within: .seconds(20))
    }

    func end() {
        guard !isReaped else { return }
        isReaped = true
        kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }

    deinit { end() }
}

/// Waits for something that another process brings about.
func eventually(_ limit: TimeInterval = 10, _ condition: () -> Bool) -> Bool {
    let end = Date().addingTimeInterval(limit)
    while Date() < end {
        if condition() { return true }
        usleep(1000)
    }
    return condition()
}
