internal import CLinuxKernel
internal import Glibc

/// The file that a process's exe link leads to, opened through that link, and what is known of it.
package struct RunningProgram: Sendable {
    package let file: ExecutableFile
    package let facts: FileFacts
    /// Where the kernel says it is; in the process's mount namespace, and not to be believed before it is resolved.
    package let link: String?

    /// Opens it.
    ///
    /// - Parameter pid: A process that the caller has pinned, or compares with something that tells instances apart.
    /// - Throws: ``LinuxError``.
    package init(pid: Int32) throws(LinuxError) {
        let descriptor = open("/proc/\(pid)/exe", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LinuxError("open exe") }
        file = try ExecutableFile(owning: descriptor)
        facts = try FileFacts(descriptor: descriptor)
        link = Self.target(of: "/proc/\(pid)/exe")
    }

    /// Whether a path of this process's own mount namespace leads to a file, without a last symbolic link.
    package static func path(_ path: String, leadsTo facts: FileFacts) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
        let descriptor = open(path, pathOnly | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard let found = try? FileFacts(descriptor: descriptor) else { return false }
        return found.device == facts.device && found.inode == facts.inode
    }

    /// O_PATH, which the C library names only to programs that ask for its extensions.
    private static let pathOnly: Int32 = 0o10_000_000

    private static func target(of link: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let length = readlink(link, &buffer, buffer.count)
        guard length > 0, length < buffer.count else { return nil }
        return String(validating: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// What decides whether bytes read from a file now are those it had at another time.
package struct FileFacts: Hashable, Sendable {
    package struct Device: Hashable, Sendable {
        package var major: UInt32
        package var minor: UInt32
    }

    package let device: Device
    package let inode: UInt64
    package let owner: UInt32
    package let mode: UInt32
    /// When the file system last noted a change, in nanoseconds since 1970.
    package let changed: Int64
    /// When the inode was made, if the file system knows.
    package let born: Int64?
    /// Tells files apart that had the same inode number one after the other, if the file system says.
    package let generation: UInt32?
    package let hasAccessList: Bool
    /// The magic number of statfs(2).
    package let fileSystem: UInt64

    init(descriptor: Int32) throws(LinuxError) {
        var facts = mintmark_facts()
        guard mintmark_file_facts(descriptor, &facts) == 0 else { throw LinuxError("statx") }
        device = Device(major: facts.device_major, minor: facts.device_minor)
        inode = facts.inode
        (owner, mode) = (facts.owner, facts.mode)
        changed = facts.changed
        born = facts.born >= 0 ? facts.born : nil
        generation = facts.has_generation == 1 ? facts.generation : nil
        hasAccessList = facts.has_acl == 1
        fileSystem = facts.file_system
    }

    /// Whether only root may write to it, as far as its inode says.
    package var isWritableByRootOnly: Bool { owner == 0 && mode & 0o022 == 0 && !hasAccessList }

    /// Whether the file system keeps its bytes on this machine, so that nobody else can change them.
    package var isLocal: Bool { Self.storing.contains(fileSystem) || fileSystem == Self.memory }

    /// Whether every change, also one through a shared mapping, leaves a later change time.
    ///
    /// A mapping that was made before is not noticed; there is none while a file is being executed. Not so on tmpfs,
    /// where a store through a shared mapping may leave no trace.
    package var stampsEveryChange: Bool { FileSystemKind(number: fileSystem).stampsEveryChange }

    /// Whether the kernel names a mapped file by the same device and inode as stat(2).
    package var isNamedAlike: Bool { FileSystemKind(number: fileSystem).namesMappedFilesAlike }

    /// The name of the file system, for people.
    package var fileSystemName: String { Self.names[fileSystem] ?? "of type 0x" + String(fileSystem, radix: 16) }

    /// Whether it is the file that the kernel mapped.
    ///
    /// - Parameters:
    ///   - mapped: As the kernel named it then.
    ///   - instant: When that was, in nanoseconds since 1970, less what the stamps of files may be behind.
    /// - Returns: Whether it is; false when that cannot be told.
    package func matches(_ mapped: MappedFile, at instant: Int64) -> Bool {
        guard device.major == mapped.deviceMajor, device.minor == mapped.deviceMinor, inode == mapped.inode else {
            return false
        }
        if let generation { return generation == mapped.generation }
        // An inode that was made before was not made anew since.
        guard let born else { return false }
        return born < instant
    }

    private static let memory: UInt64 = 0x0102_1994
    private static let storing: Set<UInt64> = [
        0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0xE0F5_E1E2, 0x7371_7368,
    ]
    private static let names: [UInt64: String] = [
        0xEF53: "ext4", 0x5846_5342: "xfs", 0x9123_683E: "btrfs", 0xF2F5_2010: "f2fs", 0xE0F5_E1E2: "erofs",
        0x7371_7368: "squashfs", memory: "tmpfs", 0x6573_5546: "fuse", 0x6969: "nfs", 0x794C_7630: "overlayfs",
        0x0102_1997: "9p", 0xFF53_4D42: "cifs", 0xFE53_4D42: "smb",
    ]
}

/// The clocks by which events and files are compared.
package enum EventClock {
    /// CLOCK_MONOTONIC in nanoseconds, as events are stamped.
    package static var monotonic: UInt64 { mintmark_monotonic() }

    /// What to add to it for the time of day, in nanoseconds.
    ///
    /// Changes only when someone sets the clock.
    package static var realtimeOffset: Int64 { mintmark_realtime_offset() }

    /// How much later than its file's stamp a change may be, in nanoseconds: twice the step of coarse time.
    package static var stampSlack: Int64 { 2 * max(1_000_000, min(mintmark_stamp_resolution(), 1_000_000_000)) }
}

extension ProcessHandle {
    /// The inode of the pidfd of a process that runs now, where pidfds have inodes of their own (Linux 6.9).
    package static func pidfsInode(of pid: Int32) -> UInt64? {
        let descriptor = mintmark_pidfd_open(pid)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var inode: UInt64 = 0
        return mintmark_pidfd_inode(descriptor, &inode) == 0 && inode != 0 ? inode : nil
    }
}
