/// The ids under which a process acts: effective ones, as file access is judged by them.
package struct ProcessCredentials: Hashable, Sendable {
    package let uid: UInt32
    package let gid: UInt32
    package let supplementaryGroups: [UInt32]

    package init(uid: UInt32, gid: UInt32, supplementaryGroups: [UInt32]) {
        (self.uid, self.gid, self.supplementaryGroups) = (uid, gid, supplementaryGroups)
    }

    /// Reads the `Uid`, `Gid` and `Groups` lines of `/proc/PID/status`; nil when one is missing, doubled or malformed.
    ///
    /// - Parameter status: The file's text.
    package init?(status: String) { self.init(ProcessStatus(parsing: Array(status.utf8)[...])) }

    /// Takes the effective ids out of what `status` says; nil when they are not known.
    package init?(_ status: ProcessStatus) {
        guard let users = status.users, let groups = status.groups, let supplementary = status.supplementaryGroups
        else { return nil }
        self.init(uid: users.effective, gid: groups.effective, supplementaryGroups: supplementary)
    }
}
