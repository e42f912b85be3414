/// A part of a process's memory that it may execute.
package struct ExecutableMapping: Hashable, Sendable {
    package enum Backing: Hashable, Sendable {
        /// An inode, by the numbers of its file system; they are not always those that `stat` gives.
        case file(device: UInt64, inode: UInt64)
        /// The kernel's own code for a process; mapped privately, so its pages can be replaced like a file's.
        case vdso
        /// The kernel's own code at a fixed address, which no process can change.
        case vsyscall
        /// Nothing.
        case anonymous
    }

    package let start, end, offset: UInt64
    package let backing: Backing
    package let isWritable: Bool
    package let isShared: Bool

    package init(
        start: UInt64, end: UInt64, offset: UInt64, backing: Backing, isWritable: Bool = false, isShared: Bool = false
    ) {
        (self.start, self.end, self.offset) = (start, end, offset)
        (self.backing, self.isWritable, self.isShared) = (backing, isWritable, isShared)
    }

    package func contains(_ address: UInt64) -> Bool { address >= start && address < end }

    /// What it is called below `/proc/PID/map_files`.
    var linkName: String { "map_files/\(String(start, radix: 16))-\(String(end, radix: 16))" }

    private static let vsyscallStart: UInt64 = 0xffff_ffff_ff60_0000

    /// The executable lines of `/proc/PID/maps` (proc_pid_maps(5)).
    ///
    /// - Parameters:
    ///   - bytes: The file, whole.
    ///   - limit: The most mappings accepted.
    /// - Returns: In order of address; nil when a line is malformed, out of order, or there are too many.
    package static func parse(maps bytes: ArraySlice<UInt8>, limit: Int) -> [ExecutableMapping]? {
        var scanner = ByteScanner(bytes)
        var found: [ExecutableMapping] = []
        var last: UInt64 = 0
        while !scanner.isAtEnd {
            guard let line = line(&scanner), line.start >= last else { return nil }
            last = line.end
            guard line.isExecutable else { continue }
            guard found.count < limit else { return nil }
            found.append(line.mapping)
        }
        return found
    }

    private struct Line {
        let start, end: UInt64
        let isExecutable: Bool
        let mapping: ExecutableMapping
    }

    private static func line(_ scanner: inout ByteScanner) -> Line? {
        guard let start = scanner.hexadecimal(), scanner.take(UInt8(ascii: "-")),
            let end = scanner.hexadecimal(), start < end, scanner.take(.space),
            let permissions = permissions(&scanner), scanner.take(.space),
            let offset = scanner.hexadecimal(), scanner.take(.space),
            let major = scanner.hexadecimal(), scanner.take(.colon), let minor = scanner.hexadecimal(),
            let device = deviceNumber(major: major, minor: minor), scanner.take(.space),
            let inode = scanner.decimal()
        else { return nil }
        guard scanner.isAtEnd || scanner.next == .space || scanner.next == .newline else { return nil }
        scanner.skip(.space)
        // Newlines in a path are written \012, so the line ends where it seems to.
        let name = scanner.through(.newline)
        let backing: Backing
        if inode != 0 {
            backing = .file(device: device, inode: inode)
        } else if device == 0, name.elementsEqual("[vdso]".utf8) {
            backing = .vdso
        } else if device == 0, start == vsyscallStart, name.elementsEqual("[vsyscall]".utf8) {
            backing = .vsyscall
        } else {
            backing = .anonymous
        }
        let mapping = ExecutableMapping(
            start: start, end: end, offset: offset, backing: backing, isWritable: permissions.writable,
            isShared: permissions.shared)
        return Line(start: start, end: end, isExecutable: permissions.executable, mapping: mapping)
    }

    private static func permissions(
        _ scanner: inout ByteScanner
    ) -> (writable: Bool, executable: Bool, shared: Bool)? {
        guard let read = scanner.take(), let write = scanner.take(), let execute = scanner.take(),
            let share = scanner.take(), "r-".utf8.contains(read), "w-".utf8.contains(write),
            "x-".utf8.contains(execute), "sp".utf8.contains(share)
        else { return nil }
        return (write == UInt8(ascii: "w"), execute == UInt8(ascii: "x"), share == UInt8(ascii: "s"))
    }

    /// `makedev(3)` of the C library: 12 and 20 bits low, the rest high.
    static func deviceNumber(major: UInt64, minor: UInt64) -> UInt64? {
        guard major <= UInt32.max, minor <= UInt32.max else { return nil }
        return (major & 0xfff) << 8 | (major & ~0xfff) << 32 | minor & 0xff | (minor & ~0xff) << 12
    }
}
