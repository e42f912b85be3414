package import LinuxKernel

/// Who could change a file, judged by its inode: directories do not matter, since files are never found by name.
package enum FileTrust {
    /// Whether no unprivileged user can change it: root's alone to write, and on a file system of this kernel's.
    ///
    /// - Parameters:
    ///   - state: Owner and mode.
    ///   - hasAccessList: Whether more users may be named than those; unknown counts as yes.
    ///   - fileSystem: Where it is.
    /// - Returns: Whether none can.
    package static func isImmutable(_ state: FileState, hasAccessList: Bool?, fileSystem: FileSystemKind) -> Bool {
        guard fileSystem.isLocal, state.owner == 0, state.mode & 0o002 == 0, hasAccessList == false else {
            return false
        }
        return state.mode & 0o020 == 0 || state.group == 0
    }

    /// Whether a process could change it, now or after giving itself the right.
    ///
    /// - Parameters:
    ///   - state: Owner and mode.
    ///   - account: Whose rights the process has; unknown counts as yes.
    ///   - capabilities: What else it may; unknown counts as yes.
    ///   - hasAccessList: Whether more users may be named than those; unknown counts as yes.
    ///   - isServedBySomeone: Whether a program, maybe the caller's, answers for the file system.
    /// - Returns: Whether it could.
    package static func isWritable(
        _ state: FileState, by account: ProcessAccount?, capabilities: ProcessStatus.Capabilities?,
        hasAccessList: Bool?, isServedBySomeone: Bool
    ) -> Bool {
        guard let account, let capabilities, hasAccessList == false, !isServedBySomeone else { return true }
        // CHOWN, DAC_OVERRIDE and FOWNER (capabilities(7)).
        guard (capabilities.permitted | capabilities.effective) & 0b1011 == 0 else { return true }
        let users = [
            account.users.real, account.users.effective, account.users.saved, account.users.fileSystem,
        ]
        let groups = [
            account.groups.real, account.groups.effective, account.groups.saved, account.groups.fileSystem,
        ]
        if users.contains(0) || users.contains(state.owner) || state.mode & 0o002 != 0 { return true }
        return state.mode & 0o020 != 0
            && (groups.contains(state.group) || account.supplementaryGroups.contains(state.group))
    }
}
