import Foundation
import Glibc
import LinuxKernel
import Testing

/// Looks at this very process, in which other tests may map code at the same time; so only at ranges of its own.
@Suite("Executable memory", .serialized)
struct CodeReadingTests {
    private let directory: ProcessDirectory

    init() throws { directory = try ProcessDirectory(of: ProcessHandle(pid: getpid())) }

    @Test("The kernel's answer and the text of maps agree, and know the executable and the vdso")
    func agree() throws {
        let stable = { (mapping: ExecutableMapping) in mapping.backing != .anonymous && mapping.backing != .vsyscall }
        let asked = try directory.executableMappings(.query).filter(stable)
        let read = try directory.executableMappings(.text).filter(stable)
        #expect(Set(asked).intersection(read).count >= 3)
        #expect(asked.contains { $0.backing == .vdso })
        #expect(read.contains { $0.backing == .vdso })
    }

    @Test("The executable is among the files behind them", .enabled(if: geteuid() == 0, "needs root"))
    func program() throws {
        let asked = try directory.executableMappings()
        let executable = try directory.openExecutable()
        let mapped = asked.compactMap { mapping in
            // Other tests of this process let go of theirs meanwhile.
            try? directory.openFile(behind: mapping).identity
        }
        #expect(mapped.contains { $0.isSameFile(as: executable.identity) })
    }

    @Test("A mapped file is clean until somebody writes to the mapping through /proc", arguments: CodeReading.allCases)
    func changedText(reading: CodeReading) throws {
        let memory = try Mapping(of: "/bin/cat")
        let mapping = try #require(try memory.mapping(directory, reading))
        // Touched, so that there is something to find clean.
        #expect(memory.firstByte == 0x7f)
        #expect(try directory.firstChanged(of: [mapping], reading) == nil)
        try memory.poke()
        #expect(try directory.firstChanged(of: [mapping], reading) == mapping)
    }

    @Test("Anonymous executable memory is found", arguments: CodeReading.allCases)
    func anonymous(reading: CodeReading) throws {
        let memory = try Mapping(flags: MAP_PRIVATE | MAP_ANONYMOUS, file: -1)
        #expect(try memory.mapping(directory, reading)?.backing == .anonymous)
    }

    @Test("A name given to anonymous memory does not make it the kernel's", arguments: CodeReading.allCases)
    func named(reading: CodeReading) throws {
        let memory = try Mapping(flags: MAP_PRIVATE | MAP_ANONYMOUS, file: -1)
        // PR_SET_VMA, PR_SET_VMA_ANON_NAME; a kernel without them leaves the memory nameless.
        let prctl = try #require(dlsym(nil, "prctl"))
        typealias Call = @convention(c) (Int32, UInt, UInt, UInt, UnsafePointer<CChar>) -> Int32
        _ = "[vdso]".withCString {
            unsafeBitCast(prctl, to: Call.self)(0x5356_4d41, 0, UInt(bitPattern: memory.start), UInt(memory.size), $0)
        }
        #expect(try memory.mapping(directory, reading)?.backing == .anonymous)
    }

    @Test("A memfd and memory shared with nobody are on the kernel's own file system", arguments: CodeReading.allCases)
    func memfd(reading: CodeReading) throws {
        let device = try HostAbilities.probe().memoryDevice
        try #require(device != 0)
        typealias Call = @convention(c) (UnsafePointer<CChar>, UInt32) -> Int32
        let file = unsafeBitCast(try #require(dlsym(nil, "memfd_create")), to: Call.self)("libc.so.6", 0)
        defer { close(file) }
        #expect(ftruncate(file, 4096) == 0)
        for memory in [
            try Mapping(flags: MAP_SHARED, file: file), try Mapping(flags: MAP_SHARED | MAP_ANONYMOUS, file: -1),
        ] {
            guard case .file(let found, _)? = try memory.mapping(directory, reading)?.backing else {
                Issue.record("not backed by a file")
                continue
            }
            #expect(found == device)
        }
    }

    @Test("Where every page has to be read, no more are than a program can have, whatever is mapped")
    func bounded() throws {
        let huge = ExecutableMapping(
            start: 0, end: 1 << 46, offset: 0, backing: .anonymous, isWritable: false, isShared: false)
        let error = #expect(throws: LinuxError.self) { try directory.firstChanged(of: [huge], .text) }
        #expect(error?.code == E2BIG)
        let parts = (0..<5).map { index in
            ExecutableMapping(
                start: UInt64(index) << 42, end: (UInt64(index) << 42) + (4 << 30), offset: 0, backing: .anonymous,
                isWritable: false, isShared: false)
        }
        let together = #expect(throws: LinuxError.self) { try directory.firstChanged(of: parts, .text) }
        #expect(together?.code == E2BIG)
    }

    @Test("A deleted file is still opened through its mapping", .enabled(if: geteuid() == 0, "needs root"))
    func deleted() throws {
        let path = NSTemporaryDirectory() + "/mintmark-deleted-\(getpid())"
        try FileManager.default.copyItem(atPath: "/bin/cat", toPath: path)
        let memory = try Mapping(of: path)
        try FileManager.default.removeItem(atPath: path)
        let mapping = try #require(try memory.mapping(directory, .query))
        let file = try directory.openFile(behind: mapping)
        #expect(try file.state().links == 0)
        #expect(try directory.path(of: mapping).hasSuffix(" (deleted)"))
    }
}

@Suite("Instances and surroundings of processes")
struct ProcessInstanceTests {
    @Test("Two processes are two instances, and one is the same each time")
    func instances() throws {
        let children = try [Sleeper(), Sleeper()]
        defer { children.forEach { $0.end() } }
        let handles = try children.map { try ProcessHandle(pid: $0.pid) }
        #expect(try handles[0].instance() != handles[1].instance())
        #expect(try handles[0].instance() == ProcessHandle(pid: children[0].pid).instance())
        if case .pidfs = try handles[0].instance().mark {
        } else {
            #expect(try HostAbilities.probe().hasPidfs == false)
        }
    }

    @Test("Parent, start, namespaces and control groups of a child are those that the kernel shows")
    func facts() throws {
        let child = try Sleeper()
        defer { child.end() }
        let handle = try ProcessHandle(pid: child.pid)
        let directory = try ProcessDirectory(of: handle)
        var buffer: [UInt8] = []
        #expect(try directory.status().parent == getpid())
        #expect(try directory.stat().parent == getpid())
        for kind in ["mnt", "pid", "user", "net"] {
            let link = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/\(kind)")
            #expect(link == "\(kind):[\(try directory.namespace(kind, using: &buffer))]")
        }
        #expect(try directory.cgroups(using: &buffer).managed?.hasPrefix("/") == true)
        if let info = handle.info { #expect(info.parent == getpid()) }
    }

    @Test("A foreign user namespace shows as the owner of its PID namespace")
    func foreignOwner() throws {
        let child = try Sleeper(["/usr/bin/unshare", "--user", "--pid", "--fork", "--kill-child", "/bin/cat"])
        defer { child.end() }
        // The one that is in the new namespaces is unshare's child.
        guard let inner = child.waitForChild() else {
            withKnownIssue("this host lets nobody make user namespaces") { Issue.record("no child") }
            return
        }
        let directory = try ProcessDirectory(of: ProcessHandle(pid: inner))
        var buffer: [UInt8] = []
        #expect(try directory.ownerOfNamespace("pid") == directory.namespace("user", using: &buffer))
        #expect(try directory.ownerOfNamespace("pid") != HostAbilities.initialUserNamespace)
    }

    @Test("The probe of this host is of one mind with what can be seen of it")
    func probe() throws {
        let host = try HostAbilities.probe()
        #expect(host.memoryDevice != 0)
        #expect(host.mountNamespace != 0 && host.pidNamespace != 0 && host.userNamespace != 0)
        if geteuid() != 0 { #expect(!host.canLookAtAll) }
    }
}

/// Some executable memory of this process, for as long as this lives.
private final class Mapping {
    let start: UnsafeMutableRawPointer
    let size: Int

    init(flags: Int32, file: Int32, size: Int = 4096) throws {
        let found = mmap(nil, size, PROT_READ | PROT_EXEC, flags, file, 0)
        start = try #require(found != MAP_FAILED ? found : nil)
        self.size = size
    }

    convenience init(of path: String) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        try #require(file >= 0)
        try self.init(flags: MAP_PRIVATE, file: file, size: 8192)
    }

    deinit { munmap(start, size) }

    var firstByte: UInt8 { start.load(as: UInt8.self) }

    func mapping(_ directory: ProcessDirectory, _ reading: CodeReading) throws -> ExecutableMapping? {
        let address = UInt64(UInt(bitPattern: start))
        return try directory.executableMappings(reading).first { $0.contains(address) }
    }

    /// Writes a byte over itself, as a debugger would; the page is the process's own from then on.
    func poke() throws {
        let memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC)
        defer { close(memory) }
        var byte = firstByte
        try #require(pwrite(memory, &byte, 1, off_t(UInt(bitPattern: start))) == 1)
    }
}

/// A child that lives until told to end.
private final class Sleeper {
    private let process = Process()
    private let input = Pipe()

    init(_ command: [String] = ["/bin/cat"]) throws {
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        // Between fork and exec it is still a copy of this process.
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        while (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")) == own { usleep(1000) }
    }

    var pid: Int32 { process.processIdentifier }

    /// The first child that it gets; nil when it ends without one.
    func waitForChild() -> Int32? {
        while process.isRunning {
            let text = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
            if let number = text?.split(separator: " ").first.flatMap({ Int32($0) }) { return number }
            usleep(1000)
        }
        return nil
    }

    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
