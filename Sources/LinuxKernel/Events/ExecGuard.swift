internal import CLinuxKernel
internal import Glibc

/// A fanotify group that holds execs of chosen files until they are answered, shared with a guardian.
///
/// Safe to use from one thread at a time.
package final class ExecGuard {
    /// What the two count in their shared memory.
    enum Number: UInt32 {
        case heartbeat, letGo
    }

    private let group: Int32
    private let memory: Int32
    private let shared: UnsafeMutableRawPointer
    private var life: Int32 = -1
    private var buffer = [UInt8](repeating: 0, count: Int(MINTMARK_SHARED_BUFFER))
    package private(set) var guardian: Int32 = -1

    /// - Throws: ``LinuxError``.
    package init() throws(LinuxError) {
        group = mintmark_fanotify_open(1)
        guard group >= 0 else { throw LinuxError("fanotify_init guard") }
        memory = mintmark_shared_make()
        guard memory >= 0, let shared = mintmark_shared_map(memory) else {
            let error = LinuxError("memfd_create")
            close(group)
            if memory >= 0 { close(memory) }
            throw error
        }
        self.shared = shared
    }

    /// The kernel lets every exec go that still waits.
    deinit {
        close(group)
        close(memory)
        mintmark_shared_unmap(shared)
        if life >= 0 { close(life) }
        var status: Int32 = 0
        // It ends when its end of the pipe does.
        if guardian > 0 { waitpid(guardian, &status, 0) }
    }

    /// Starts the guardian.
    ///
    /// Nothing may be marked before it runs.
    ///
    /// - Throws: ``LinuxError``.
    package func start(_ path: String, _ arguments: [String]) throws(LinuxError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw LinuxError("pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        guardian = mintmark_start_guardian(path, words, group, memory, ends[0])
        let error = LinuxError("start guardian")
        close(ends[0])
        guard guardian > 0 else {
            close(ends[1])
            throw error
        }
        life = ends[1]
    }

    /// Whether the guardian still runs.
    package var guardianRuns: Bool {
        guard guardian > 0 else { return false }
        var status: Int32 = 0
        guard waitpid(guardian, &status, WNOHANG) == 0 else {
            guardian = -1
            return false
        }
        return true
    }

    /// Holds every exec of a file, or of the files in a directory.
    ///
    /// - Throws: ``LinuxError``.
    package func mark(_ path: String) throws(LinuxError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw LinuxError("stat \(path)") }
        let kind =
            status.st_mode & S_IFMT == S_IFDIR ? MINTMARK_MARK_GUARDED_DIRECTORY : MINTMARK_MARK_GUARDED_FILE
        guard mintmark_fanotify_mark(group, kind, path) == 0 else { throw LinuxError("fanotify_mark \(path)") }
    }

    /// Waits for execs, up to a limit in milliseconds, and shows the guardian that this process is awake.
    package func next(within limit: Int32) -> [HeldExec] {
        mintmark_shared_add(shared, Number.heartbeat.rawValue)
        var watch = pollfd(fd: group, events: Int16(POLLIN), revents: 0)
        guard poll(&watch, 1, limit) > 0 else { return [] }
        mintmark_shared_add(shared, Number.heartbeat.rawValue)
        let count = mintmark_shared_read(shared, group)
        guard count > 0 else { return [] }
        mintmark_shared_copy(shared, &buffer)
        return HeldExec.read(buffer[..<min(count, buffer.count)])
    }

    /// Lets an exec go on.
    ///
    /// - Returns: Whether it had been waiting until now; if not, the guardian has let it go.
    package func allow(_ exec: HeldExec) -> Bool { mintmark_fanotify_answer(group, exec.descriptor) == 0 }

    /// Takes over the file of an exec.
    ///
    /// - Throws: ``LinuxError``; the descriptor is closed then.
    package func file(of exec: HeldExec) throws(LinuxError) -> ExecutedScript {
        try ExecutedScript(owning: exec.descriptor)
    }

    /// How many execs the guardian has let go.
    package var letGo: UInt64 { mintmark_shared_number(shared, Number.letGo.rawValue) }
}

/// The process that lets held execs go when the one that holds them does not answer.
package enum GuardianProcess {
    /// Longest silence of the other, in nanoseconds.
    private static let patience: UInt64 = 300_000_000

    /// Runs until the process that started it ends.
    ///
    /// Descriptors 3, 4 and 5 are the group, the shared memory and a pipe
    /// from that process.
    ///
    /// - Throws: ``LinuxError`` when it was not started by ``ExecGuard``.
    package static func run() throws(LinuxError) {
        let (group, memory, life): (Int32, Int32, Int32) = (3, 4, 5)
        guard let shared = mintmark_shared_map(memory) else { throw LinuxError("mmap guard") }
        var (beat, since) = (mintmark_shared_number(shared, ExecGuard.Number.heartbeat.rawValue), mintmark_monotonic())
        var buffer = [UInt8](repeating: 0, count: Int(MINTMARK_SHARED_BUFFER))
        while true {
            var watch = pollfd(fd: life, events: Int16(POLLIN), revents: 0)
            // Nothing is ever written to the pipe; it becomes readable when its other end is closed.
            guard poll(&watch, 1, 50) <= 0 else { return }
            let now = mintmark_shared_number(shared, ExecGuard.Number.heartbeat.rawValue)
            guard now == beat else {
                (beat, since) = (now, mintmark_monotonic())
                continue
            }
            guard mintmark_monotonic() &- since > patience else { continue }
            // Those it has read: an answer to one that was answered already is refused by the kernel.
            mintmark_shared_copy(shared, &buffer)
            for exec in HeldExec.read(buffer[...]) where mintmark_fanotify_answer(group, exec.descriptor) == 0 {
                mintmark_shared_add(shared, ExecGuard.Number.letGo.rawValue)
            }
            // Those it has not.
            let count = read(group, &buffer, buffer.count)
            for exec in HeldExec.read(buffer[..<max(0, min(count, buffer.count))]) {
                if mintmark_fanotify_answer(group, exec.descriptor) == 0 {
                    mintmark_shared_add(shared, ExecGuard.Number.letGo.rawValue)
                }
                close(exec.descriptor)
            }
        }
    }
}
