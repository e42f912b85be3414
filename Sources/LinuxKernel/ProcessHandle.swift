internal import CLinuxKernel
internal import Glibc

/// One running process, pinned: while the handle lives, its number cannot come to mean another process unnoticed.
///
/// Owns a pidfd and closes it at the end, so a connection and the calls running on it share one handle.
package final class ProcessHandle: Sendable {
    let descriptor: Int32

    /// The process id in this process's own PID namespace.
    package let pid: Int32

    /// Takes over a pidfd, such as SO_PEERPIDFD gives.
    ///
    /// - Parameters:
    ///   - descriptor: The pidfd; closed when the handle goes, also when this throws.
    ///   - pid: The process id it stands for.
    /// - Throws: ``LinuxError`` when the process is gone or the descriptor stands for another one.
    package init(owning descriptor: Int32, pid: Int32) throws(LinuxError) {
        self.descriptor = descriptor
        self.pid = pid
        // A peer in a PID namespace that is not below ours has no number here; it cannot be looked at.
        guard pid > 0, mintmark_pidfd_pid(descriptor) == pid else { throw LinuxError("pidfd", code: ESRCH) }
    }

    /// Opens a process by number.
    ///
    /// - Parameter pid: The process id; it may mean another process by the time this returns, so compare what is found.
    /// - Throws: ``LinuxError``.
    package convenience init(pid: Int32) throws(LinuxError) {
        let descriptor = mintmark_pidfd_open(pid)
        guard descriptor >= 0 else { throw LinuxError("pidfd_open") }
        try self.init(owning: descriptor, pid: pid)
    }

    deinit { close(descriptor) }

    /// Whether the process still runs.
    ///
    /// One that cannot be asked counts as gone.
    package var isAlive: Bool { mintmark_pidfd_is_alive(descriptor) == 1 }
}
