/// A kind of file system, by the number that statfs(2) gives.
package struct FileSystemKind: Hashable, Sendable, CustomStringConvertible {
    package let number: UInt64

    package init(number: UInt64) { self.number = number }

    /// Names and numbers from the kernel's `linux/magic.h` and the file systems' own sources.
    private static let names: [UInt64: String] = [
        0xEF53: "ext4", 0x5846_5342: "xfs", 0x9123_683E: "btrfs", 0xE0F5_E1E2: "erofs", 0x7371_7368: "squashfs",
        0xF2F5_2010: "f2fs", 0xCA45_1A4E: "bcachefs", 0x2FC1_2FC1: "zfs", 0x0102_1994: "tmpfs",
        0x794C_7630: "overlay", 0x6573_5546: "fuse", 0x6969: "nfs", 0xFF53_4D42: "cifs", 0xFE53_4D42: "smb2",
        0x0102_1997: "9p", 0x00C3_6400: "ceph", 0x8584_58F6: "ramfs", 0x9584_58F6: "hugetlbfs", 0x4D44: "vfat",
        0x9660: "iso9660", 0x2011_BAB0: "exfat", 0x9FA0: "proc",
    ]

    private static let local: Set<UInt64> = [
        0xEF53, 0x5846_5342, 0x9123_683E, 0xE0F5_E1E2, 0x7371_7368, 0xF2F5_2010, 0xCA45_1A4E, 0x2FC1_2FC1,
        0x0102_1994,
    ]

    private static let stamping: Set<UInt64> = [
        0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0xE0F5_E1E2, 0x7371_7368,
    ]

    /// The name, such as `ext4` (for its elders, too), or the number where it has none here.
    package var description: String { Self.names[number] ?? "0x\(String(number, radix: 16))" }

    /// Whether this machine's kernel alone says what its files hold and when they change.
    package var isLocal: Bool { Self.local.contains(number) }

    /// Whether every change of a file, also one through a shared mapping, leaves a later change time.
    ///
    /// Not so in memory, where a store through a mapping that was made before leaves no trace.
    package var stampsEveryChange: Bool { Self.stamping.contains(number) }

    /// Whether the kernel names a mapped file by the same device and inode as its own stat(2); not so on btrfs, nor
    /// where one file system lies over another.
    package var namesMappedFilesAlike: Bool { isLocal && number != 0x9123_683E }

    /// Whether it lays one file system over another, so that files can change beneath it.
    package var isOverlay: Bool { number == 0x794C_7630 }

    /// Whether its files are memory.
    package var isMemory: Bool { number == 0x0102_1994 || number == 0x8584_58F6 || number == 0x9584_58F6 }

    /// Whether times are kept so coarsely that a change can go unseen for long.
    package var hasCoarseTimes: Bool { number == 0x4D44 || number == 0x2011_BAB0 || number == 0x9660 }
}
