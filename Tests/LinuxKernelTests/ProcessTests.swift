import Foundation
import Glibc
import LinuxKernel
import Testing

@Suite("Processes, pinned")
struct ProcessTests {
    @Test("This process is alive, and its directory tells who it is")
    func oneself() throws {
        let handle = try ProcessHandle(pid: getpid())
        #expect(handle.pid == getpid())
        #expect(handle.isAlive)
        let directory = try ProcessDirectory(of: handle)
        let credentials = try directory.credentials()
        #expect(credentials.uid == geteuid())
        #expect(credentials.gid == getegid())
        #expect(Set(credentials.supplementaryGroups) == Set(try supplementaryGroups()))
    }

    @Test("The executable's path is the one that runs, and so are its bytes")
    func executable() throws {
        let directory = try ProcessDirectory(of: ProcessHandle(pid: getpid()))
        let path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        #expect(try directory.executablePath() == path)
        let size = try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int64)
        let file = try directory.openExecutable()
        #expect(file.size == size)
        var (count, head) = (Int64(0), [UInt8]())
        try file.read(limit: size) { piece in
            if head.isEmpty { head = Array(piece.prefix(4)) }
            count += Int64(piece.count)
        }
        #expect(count == size)
        #expect(head == [0x7F, 0x45, 0x4C, 0x46])
    }

    @Test("A read stops with EFBIG at its limit and never hands out more", arguments: [0, 1, 4096, 300_000] as [Int64])
    func limit(limit: Int64) throws {
        let file = try ProcessDirectory(of: ProcessHandle(pid: getpid())).openExecutable()
        try #require(file.size > limit)
        var count: Int64 = 0
        let error = #expect(throws: LinuxError.self) { try file.read(limit: limit) { count += Int64($0.count) } }
        #expect(error?.code == EFBIG)
        #expect(count <= limit)
    }

    @Test("An executable can be read twice from its start")
    func rereads() throws {
        let file = try ProcessDirectory(of: ProcessHandle(pid: getpid())).openExecutable()
        var counts: [Int64] = []
        for _ in 0..<2 {
            var count: Int64 = 0
            try file.read(limit: file.size) { count += Int64($0.count) }
            counts.append(count)
        }
        #expect(counts == [file.size, file.size])
    }

    @Test("A child that has ended is not alive, and nothing more can be read about it")
    func endedChild() throws {
        let child = try Child()
        let handle = try ProcessHandle(pid: child.pid)
        let directory = try ProcessDirectory(of: handle)
        #expect(handle.isAlive)
        #expect(try directory.executablePath().hasSuffix("/cat"))
        child.end()
        #expect(!handle.isAlive)
        #expect(throws: LinuxError.self) { try directory.credentials() }
        #expect(throws: LinuxError.self) { try directory.executablePath() }
        #expect(throws: LinuxError.self) { try directory.openExecutable() }
        #expect(throws: LinuxError.self) { try ProcessDirectory(of: handle) }
    }

    @Test("A process that is gone cannot be pinned")
    func pinsNothing() throws {
        let child = try Child()
        child.end()
        let error = #expect(throws: LinuxError.self) { try ProcessHandle(pid: child.pid) }
        #expect(error?.code == ESRCH)
    }

    @Test("Numbers that no process has cannot be pinned", arguments: [0, -1, Int32.max])
    func impossibleNumbers(pid: Int32) {
        #expect(throws: LinuxError.self) { try ProcessHandle(pid: pid) }
    }

    @Test("A descriptor that is no pidfd, or that stands for another process, is refused and closed")
    func foreignDescriptor() throws {
        let plain = open("/dev/null", O_RDONLY | O_CLOEXEC)
        try #require(plain >= 0)
        #expect(throws: LinuxError.self) { try ProcessHandle(owning: plain, pid: getpid()) }
    }

    @Test("Errors name the call and the system's reason")
    func errorText() {
        #expect("\(LinuxError("open exe", code: EACCES))" == "open exe: permission denied")
    }

    private func supplementaryGroups() throws -> [UInt32] {
        var groups = [gid_t](repeating: 0, count: 1024)
        let count = getgroups(Int32(groups.count), &groups)
        try #require(count >= 0)
        return Array(groups.prefix(Int(count)))
    }
}

/// A child process that lives until told to end.
private struct Child {
    private let process = Process()
    private let input = Pipe()

    init() throws {
        process.executableURL = URL(fileURLWithPath: "/bin/cat")
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        try process.run()
    }

    var pid: Int32 { process.processIdentifier }

    /// Ends it and takes note of its end, as a parent does.
    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

@Suite("Names of accounts")
struct AccountNamesTests {
    @Test("User 0 is root, and so is group 0")
    func root() {
        #expect(AccountNames.user(0) == "root")
        #expect(AccountNames.group(0) == "root")
    }

    @Test("An id without an account has no name")
    func unknown() {
        #expect(AccountNames.user(3_999_999_999) == nil)
        #expect(AccountNames.group(3_999_999_999) == nil)
    }
}
