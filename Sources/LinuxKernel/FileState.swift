internal import CLinuxKernel
internal import Glibc

/// An inode at one moment: the same as long as nobody wrote to it, by what the file system says.
package struct FileIdentity: Hashable, Sendable {
    package let device: UInt64
    package let inode: UInt64
    package let size: Int64
    package let modified: Instant
    /// When the inode last changed in any way; unlike the other, nobody can set it.
    package let changed: Instant

    /// Wall time as file systems keep it.
    package struct Instant: Hashable, Sendable {
        package let seconds: Int64
        package let nanoseconds: UInt32

        package init(seconds: Int64, nanoseconds: UInt32) { (self.seconds, self.nanoseconds) = (seconds, nanoseconds) }
    }

    package init(device: UInt64, inode: UInt64, size: Int64, modified: Instant, changed: Instant) {
        (self.device, self.inode, self.size) = (device, inode, size)
        (self.modified, self.changed) = (modified, changed)
    }

    init(_ status: stat) {
        self.init(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
            modified: Instant(
                seconds: Int64(status.st_mtim.tv_sec), nanoseconds: UInt32(clamping: status.st_mtim.tv_nsec)),
            changed: Instant(
                seconds: Int64(status.st_ctim.tv_sec), nanoseconds: UInt32(clamping: status.st_ctim.tv_nsec)))
    }

    init(_ raw: mintmark_file_state) {
        (device, inode, size) = (raw.device, raw.inode, raw.size)
        modified = Instant(seconds: raw.modified_seconds, nanoseconds: raw.modified_nanoseconds)
        changed = Instant(seconds: raw.changed_seconds, nanoseconds: raw.changed_nanoseconds)
    }

    /// Whether two are the same inode, in whatever states.
    package func isSameFile(as other: FileIdentity) -> Bool { device == other.device && inode == other.inode }
}

/// A file's identity with who may do what to it, all from one statx(2).
package struct FileState: Hashable, Sendable {
    package let identity: FileIdentity
    /// Type and permission bits.
    package let mode: UInt32
    package let owner: UInt32
    package let group: UInt32
    package let links: UInt32
    /// The mount it was reached by, by an id that is never used again (Linux 6.8).
    package let mountID: UInt64?

    package init(
        identity: FileIdentity, mode: UInt32, owner: UInt32, group: UInt32, links: UInt32 = 1, mountID: UInt64? = nil
    ) {
        (self.identity, self.mode, self.owner, self.group) = (identity, mode, owner, group)
        (self.links, self.mountID) = (links, mountID)
    }

    init(_ raw: mintmark_file_state) {
        identity = FileIdentity(raw)
        (mode, owner, group, links) = (raw.mode, raw.uid, raw.gid, raw.links)
        mountID = raw.has_unique_mount_id != 0 ? raw.mount_id : nil
    }

    package var isRegular: Bool { mode & 0o170000 == 0o100000 }
}
