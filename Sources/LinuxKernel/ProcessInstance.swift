/// One run of one process, from its fork to its end; no other process has the same on this machine, ever.
///
/// Executing another program does not change it: which program an instance runs is told apart by a generation.
package struct ProcessInstance: Hashable, Sendable {
    /// `/proc/sys/kernel/random/boot_id`, as it is written there.
    package let bootID: String
    /// What tells instances of one boot apart.
    package let mark: Mark

    package enum Mark: Hashable, Sendable {
        /// The inode of its pidfd, which the kernel never gives twice (Linux 6.9).
        case pidfs(inode: UInt64)
        /// Number and start time in clock ticks; an attacker who can exhaust the numbers within a tick makes two alike.
        case started(pid: Int32, ticks: UInt64)
    }

    package init(bootID: String, mark: Mark) { (self.bootID, self.mark) = (bootID, mark) }
}

extension ProcessInstance: CustomStringConvertible {
    /// `BOOT/INODE`, or `BOOT/PID.TICKS` where the kernel has no pidfs.
    package var description: String {
        switch mark {
        case .pidfs(let inode): "\(bootID)/\(inode)"
        case .started(let pid, let ticks): "\(bootID)/\(pid).\(ticks)"
        }
    }
}
