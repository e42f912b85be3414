internal import CLinuxKernel
internal import Foundation
internal import Glibc

extension ProcessHandle {
    /// Which run of which process this is.
    ///
    /// By the pidfd's own inode where the kernel has pidfs, else by number and start time.
    ///
    /// - Throws: ``LinuxError`` when the kernel does not say, or the process is gone.
    package func instance() throws(LinuxError) -> ProcessInstance {
        guard let boot = Self.bootID else { throw LinuxError("read boot_id", code: ENOENT) }
        var inode: UInt64 = 0
        guard mintmark_pidfd_inode(descriptor, &inode) == 0 else { throw LinuxError("fstat pidfd") }
        if inode != 0 { return ProcessInstance(bootID: boot, mark: .pidfs(inode: inode)) }
        let directory = try ProcessDirectory(of: self)
        let stat = try directory.stat()
        guard isAlive else { throw LinuxError("read stat", code: ESRCH) }
        return ProcessInstance(bootID: boot, mark: .started(pid: pid, ticks: stat.startTicks))
    }

    /// What the kernel tells of the process by its pidfd alone; nil before Linux 6.13 and once it is gone.
    package var info: PidfdInfo? {
        var raw = mintmark_pidfd_info()
        guard mintmark_pidfd_get_info(descriptor, &raw) == 0 else { return nil }
        return PidfdInfo(parent: raw.ppid, cgroupID: raw.has_cgroup_id != 0 ? raw.cgroup_id : nil)
    }

    /// This boot, as the kernel names it.
    private static let bootID: String? = {
        guard let bytes = try? KernelFile.read("/proc/sys/kernel/random/boot_id", limit: 64),
            let text = String(validating: bytes, as: UTF8.self)?.trimmingCharacters(in: .whitespacesAndNewlines),
            text.utf8.count == 36
        else { return nil }
        return text
    }()
}

/// What PIDFD_GET_INFO tells, without a number that could come to mean another process.
package struct PidfdInfo: Hashable, Sendable {
    /// The parent's number in the reader's PID namespace; 0 when it is outside.
    package let parent: Int32
    /// The inode of its control group in the version 2 hierarchy.
    package let cgroupID: UInt64?
}
