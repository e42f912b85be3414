internal import CLinuxKernel
internal import Glibc

/// `/proc/PID` of one process, held open: once the process ends, every read fails instead of naming its successor.
package final class ProcessDirectory: Sendable {
    let descriptor: Int32
    private let handle: ProcessHandle

    /// Opens the directory and confirms afterwards that it is still the pinned process's.
    ///
    /// - Parameter handle: The process.
    /// - Throws: ``LinuxError`` when the process is gone or may not be looked at.
    package init(of handle: ProcessHandle) throws(LinuxError) {
        let descriptor = open("/proc/\(handle.pid)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LinuxError("open /proc/pid") }
        self.descriptor = descriptor
        self.handle = handle
        guard handle.isAlive else { throw LinuxError("open /proc/pid", code: ESRCH) }
    }

    deinit { close(descriptor) }

    /// The effective ids and groups now, from `status`.
    ///
    /// - Throws: ``LinuxError``; `EPROTO` when the kernel's text is not what was expected.
    package func credentials() throws(LinuxError) -> ProcessCredentials {
        guard let credentials = ProcessCredentials(try status()) else { throw LinuxError("read status", code: EPROTO) }
        return credentials
    }

    /// What `status` says now.
    ///
    /// - Throws: ``LinuxError``.
    package func status() throws(LinuxError) -> ProcessStatus {
        var buffer: [UInt8] = []
        return try status(using: &buffer)
    }

    /// What `status` says now, read into a buffer that is used again.
    ///
    /// - Throws: ``LinuxError``.
    package func status(using buffer: inout [UInt8]) throws(LinuxError) -> ProcessStatus {
        // A process can be in 65,536 groups, of up to eleven characters.
        let count = try KernelFile.read("status", below: descriptor, into: &buffer, limit: 1 << 20)
        return ProcessStatus(parsing: buffer[..<count])
    }

    /// What `stat` says now.
    ///
    /// - Throws: ``LinuxError``; `EPROTO` when the kernel's text is not what was expected.
    package func stat() throws(LinuxError) -> ProcessStat {
        var buffer: [UInt8] = []
        let count = try KernelFile.read("stat", below: descriptor, into: &buffer, limit: 1 << 16)
        guard let stat = ProcessStat(parsing: buffer[..<count]) else { throw LinuxError("read stat", code: EPROTO) }
        return stat
    }

    /// The control groups now.
    ///
    /// - Throws: ``LinuxError``; `EPROTO` when the kernel's text is not what was expected.
    package func cgroups(using buffer: inout [UInt8]) throws(LinuxError) -> CgroupMembership {
        let count = try KernelFile.read("cgroup", below: descriptor, into: &buffer, limit: 1 << 18)
        guard let found = CgroupMembership(parsing: buffer[..<count]) else {
            throw LinuxError("read cgroup", code: EPROTO)
        }
        return found
    }

    /// A file of its, for a caller that compares it with what it said before.
    ///
    /// - Returns: How many bytes of the buffer it fills.
    /// - Throws: ``LinuxError``; `EFBIG` past the limit.
    package func contents(of name: String, into buffer: inout [UInt8], limit: Int) throws(LinuxError) -> Int {
        try KernelFile.read(name, below: descriptor, into: &buffer, limit: limit)
    }

    /// `loginuid` or `sessionid`; nil for a process outside of any login.
    ///
    /// - Throws: ``LinuxError``; `EPROTO` when the kernel's text is not what was expected.
    package func login(_ name: String, using buffer: inout [UInt8]) throws(LinuxError) -> UInt32? {
        let count = try KernelFile.read(name, below: descriptor, into: &buffer, limit: 64)
        guard let number = ProcNumbers.session(buffer[..<count]) else { throw LinuxError("read \(name)", code: EPROTO) }
        return number == UInt32.max ? nil : number
    }

    /// The inode of a namespace that it is in, such as `mnt`.
    ///
    /// - Throws: ``LinuxError``; `EPROTO` when the link is not what was expected.
    package func namespace(_ kind: String, using buffer: inout [UInt8]) throws(LinuxError) -> UInt64 {
        let count = try KernelFile.link("ns/\(kind)", below: descriptor, into: &buffer)
        guard let inode = ProcNumbers.namespace(kind, link: buffer[..<count]) else {
            throw LinuxError("readlink ns/\(kind)", code: EPROTO)
        }
        return inode
    }

    /// The inode of the user namespace that owns a namespace it is in.
    ///
    /// - Throws: ``LinuxError``; `EPERM` when that is not below the reader's own.
    package func ownerOfNamespace(_ kind: String) throws(LinuxError) -> UInt64 {
        let file = mintmark_openat(descriptor, "ns/\(kind)", O_RDONLY)
        guard file >= 0 else { throw LinuxError("open ns/\(kind)") }
        defer { close(file) }
        let owner = mintmark_namespace_owner(file)
        guard owner != 0 else { throw LinuxError("ioctl NS_GET_USERNS") }
        return owner
    }

    /// The path the kernel shows for the executable; it may lie about other mount namespaces.
    ///
    /// - Throws: ``LinuxError``.
    package func executablePath() throws(LinuxError) -> String {
        var buffer: [UInt8] = []
        let length = try KernelFile.link("exe", below: descriptor, into: &buffer)
        guard let path = String(validating: buffer[..<length], as: UTF8.self) else {
            throw LinuxError("readlink exe", code: ENAMETOOLONG)
        }
        return path
    }

    /// The state of the file that the process executes, whatever its path says now.
    ///
    /// - Throws: ``LinuxError``.
    package func executableState() throws(LinuxError) -> FileState {
        var raw = mintmark_file_state()
        guard mintmark_file_state(descriptor, "exe", &raw) == 0 else { throw LinuxError("statx exe") }
        return FileState(raw)
    }

    /// Opens the file that the process executes, whatever its path says now.
    ///
    /// - Throws: ``LinuxError``.
    package func openExecutable() throws(LinuxError) -> ExecutableFile {
        let file = mintmark_openat(descriptor, "exe", O_RDONLY | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else { throw LinuxError("open exe") }
        return try ExecutableFile(owning: file)
    }

    /// The ids of the mounts in its mount namespace.
    ///
    /// - Throws: ``LinuxError``; `EPROTO` when the kernel's text is not what was expected.
    package func mounts() throws(LinuxError) -> Set<UInt64> {
        var buffer: [UInt8] = []
        let count = try KernelFile.read("mountinfo", below: descriptor, into: &buffer, limit: 16 << 20)
        guard let mounts = ProcNumbers.mounts(mountinfo: buffer[..<count]) else {
            throw LinuxError("read mountinfo", code: EPROTO)
        }
        return mounts
    }
}
