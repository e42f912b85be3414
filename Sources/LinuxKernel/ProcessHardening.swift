internal import CLinuxKernel

/// What this process does to itself so that its secrets stay inside.
package enum ProcessHardening {
    /// Keeps memory out of core dumps and away from debuggers of the same user.
    ///
    /// - Throws: ``LinuxError``.
    package static func denyDumps() throws(LinuxError) {
        guard mintmark_deny_dumps() == 0 else { throw LinuxError("prctl PR_SET_DUMPABLE") }
    }
}
