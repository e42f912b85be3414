internal import CLinuxKernel
internal import Glibc

/// What this kernel, and this process's rights on it, let attestation show; probed once, at start.
package struct HostAbilities: Hashable, Sendable {
    /// Whether every process of the host may be looked at, and the files behind its memory opened.
    package var canLookAtAll: Bool
    /// Whether the kernel refuses to write to a file that is being executed; nil when it could not be tried.
    package var protectsRunningFiles: Bool?
    /// Whether two changes of a file always differ in time (Linux 6.13).
    package var hasFineTimes: Bool
    /// Whether no two processes ever share an instance key (Linux 6.9).
    package var hasPidfs: Bool
    /// The file system that holds memory without a name: memfd, System V segments, shared mappings of nothing.
    package var memoryDevice: UInt64
    /// The agent's own namespaces, by inode; 0 when unknown.
    package var mountNamespace, pidNamespace, userNamespace: UInt64

    package init(
        canLookAtAll: Bool, protectsRunningFiles: Bool?, hasFineTimes: Bool, hasPidfs: Bool, memoryDevice: UInt64,
        mountNamespace: UInt64, pidNamespace: UInt64, userNamespace: UInt64
    ) {
        (self.canLookAtAll, self.protectsRunningFiles) = (canLookAtAll, protectsRunningFiles)
        (self.hasFineTimes, self.hasPidfs, self.memoryDevice) = (hasFineTimes, hasPidfs, memoryDevice)
        (self.mountNamespace, self.pidNamespace, self.userNamespace) = (mountNamespace, pidNamespace, userNamespace)
    }

    /// The inodes of the namespaces that exist from boot (`linux/proc_ns.h`).
    package static let initialUserNamespace: UInt64 = 0xEFFF_FFFD
    package static let initialPIDNamespace: UInt64 = 0xEFFF_FFFC

    /// Nothing at all, for when not even that can be found out.
    package static let none = HostAbilities(
        canLookAtAll: false, protectsRunningFiles: nil, hasFineTimes: false, hasPidfs: false, memoryDevice: 0,
        mountNamespace: 0, pidNamespace: 0, userNamespace: 0)

    /// Tries everything on this very process.
    ///
    /// - Throws: ``LinuxError`` when not even its own `/proc/PID` can be read.
    package static func probe() throws(LinuxError) -> HostAbilities {
        let handle = try ProcessHandle(pid: getpid())
        let directory = try ProcessDirectory(of: handle)
        var buffer: [UInt8] = []
        let capabilities = try directory.status().capabilities?.effective ?? 0
        func has(_ number: UInt64) -> Bool { capabilities & (1 << number) != 0 }
        let user = (try? directory.namespace("user", using: &buffer)) ?? 0
        // DAC_OVERRIDE or DAC_READ_SEARCH; SYS_PTRACE; SYS_ADMIN or CHECKPOINT_RESTORE (capabilities(7)).
        let canLook = (has(1) || has(2)) && has(19) && (has(21) || has(40)) && user == initialUserNamespace
        var inode: UInt64 = 0
        return HostAbilities(
            canLookAtAll: canLook, protectsRunningFiles: triesToWriteItself(), hasFineTimes: kernelIsAtLeast(6, 13),
            hasPidfs: mintmark_pidfd_inode(handle.descriptor, &inode) == 0 && inode != 0,
            memoryDevice: mintmark_memory_device(),
            mountNamespace: (try? directory.namespace("mnt", using: &buffer)) ?? 0,
            pidNamespace: (try? directory.namespace("pid", using: &buffer)) ?? 0, userNamespace: user)
    }

    /// Opens this program for writing, which nobody may while it runs, and writes nothing.
    private static func triesToWriteItself() -> Bool? {
        let file = mintmark_openat(KernelFile.noDirectory, "/proc/self/exe", O_WRONLY)
        guard file < 0 else {
            close(file)
            return false
        }
        return errno == ETXTBSY ? true : nil
    }

    private static func kernelIsAtLeast(_ major: UInt64, _ minor: UInt64) -> Bool {
        guard let bytes = try? KernelFile.read("/proc/sys/kernel/osrelease", limit: 256) else { return false }
        var scanner = ByteScanner(bytes[...])
        guard let first = scanner.decimal(), scanner.take(UInt8(ascii: ".")), let second = scanner.decimal() else {
            return false
        }
        return (first, second) >= (major, minor)
    }
}
