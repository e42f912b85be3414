internal import CLinuxKernel
internal import Glibc

/// How memory is looked at: a kernel may lack the quick way, and tests compare both.
package enum CodeReading: Hashable, Sendable, CaseIterable {
    /// By ioctl, only where memory is executable (Linux 6.11 and 6.7); else as ``text``.
    case query
    /// From the text of `maps` and the entries of `pagemap`.
    case text
}

extension ProcessDirectory {
    /// The most executable mappings that are looked at.
    package static let mostMappings = 4096

    /// What the process may execute now, in order of address.
    ///
    /// Not a snapshot: a process that moves its mappings meanwhile can make one be missed.
    ///
    /// - Throws: ``LinuxError``; `E2BIG` when there are more than ``mostMappings``.
    package func executableMappings(_ reading: CodeReading = .query) throws(LinuxError) -> [ExecutableMapping] {
        if reading == .query {
            let maps = mintmark_openat(descriptor, "maps", O_RDONLY)
            guard maps >= 0 else { throw LinuxError("open maps") }
            defer { close(maps) }
            for capacity in [64, Self.mostMappings] {
                if let found = try query(maps, capacity: capacity) {
                    guard let mappings = found.mappings else { break }
                    return mappings
                }
                guard capacity < Self.mostMappings else { throw LinuxError("maps", code: E2BIG) }
            }
        }
        var buffer: [UInt8] = []
        let count = try KernelFile.read("maps", below: descriptor, into: &buffer, limit: 32 << 20)
        guard let mappings = ExecutableMapping.parse(maps: buffer[..<count], limit: Self.mostMappings) else {
            throw LinuxError("read maps", code: EPROTO)
        }
        return mappings
    }

    /// - Returns: nil when there are more than fit; no mappings when the kernel cannot be asked this way.
    private func query(_ maps: Int32, capacity: Int) throws(LinuxError) -> (mappings: [ExecutableMapping]?, Void)? {
        var failure: LinuxError?
        var overflows = false
        let found = withUnsafeTemporaryAllocation(of: mintmark_mapping.self, capacity: capacity) {
            buffer -> [ExecutableMapping]? in
            let count = mintmark_executable_mappings(maps, buffer.baseAddress, Int32(capacity))
            guard count >= 0 else {
                if errno != ENOTTY, errno != EINVAL { failure = LinuxError("ioctl PROCMAP_QUERY") }
                return nil
            }
            guard count <= capacity else {
                overflows = true
                return nil
            }
            return (0..<Int(count)).map { ExecutableMapping(buffer[$0]) }
        }
        if let failure { throw failure }
        return overflows ? nil : (found, ())
    }

    /// The most entries of `pagemap` that are read for one look: 16 GiB in pages of 4 KiB.
    private static let mostEntries: UInt64 = 1 << 22

    /// Whether executable memory holds a page that is not its file's own, because somebody wrote to it.
    ///
    /// - Parameters:
    ///   - mappings: Where to look.
    ///   - reading: How.
    /// - Returns: The first such mapping, or nil.
    /// - Throws: ``LinuxError``; `E2BIG` when that takes more than ``mostEntries``.
    package func firstChanged(
        of mappings: [ExecutableMapping], _ reading: CodeReading = .query
    ) throws(LinuxError) -> ExecutableMapping? {
        let pagemap = mintmark_openat(descriptor, "pagemap", O_RDONLY)
        guard pagemap >= 0 else { throw LinuxError("open pagemap") }
        defer { close(pagemap) }
        var reading = reading
        var entries = Self.mostEntries
        let page = UInt64(clamping: max(1, sysconf(Int32(_SC_PAGESIZE))))
        for mapping in mappings where mapping.backing != .vsyscall {
            var result: Int32 = -1
            if reading == .query {
                result = mintmark_has_private_pages(pagemap, mapping.start, mapping.end)
                if result < 0, errno == ENOTTY || errno == EINVAL { reading = .text }
            }
            if reading == .text {
                let needed = mapping.end >= mapping.start ? (mapping.end - mapping.start) / page : .max
                guard needed <= entries else { throw LinuxError("read pagemap", code: E2BIG) }
                entries -= needed
                result = mintmark_has_private_pages_by_entry(pagemap, mapping.start, mapping.end)
            }
            guard result >= 0 else { throw LinuxError("read pagemap") }
            if result == 1 { return mapping }
        }
        return nil
    }

    /// Opens the file behind a mapping: the inode that is mapped, whatever stands at its path now.
    ///
    /// - Throws: ``LinuxError``; needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN.
    package func openFile(behind mapping: ExecutableMapping) throws(LinuxError) -> ExecutableFile {
        let file = mintmark_openat(descriptor, mapping.linkName, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else { throw LinuxError("open map_files") }
        return try ExecutableFile(owning: file)
    }

    /// The path the kernel shows for a mapped file, for people to read.
    ///
    /// - Throws: ``LinuxError``.
    package func path(of mapping: ExecutableMapping) throws(LinuxError) -> String {
        var buffer: [UInt8] = []
        let length = try KernelFile.link(mapping.linkName, below: descriptor, into: &buffer)
        return String(decoding: buffer[..<length], as: UTF8.self)
    }
}

extension ExecutableMapping {
    fileprivate init(_ raw: mintmark_mapping) {
        let backing: Backing =
            if raw.inode != 0 {
                .file(device: raw.device, inode: raw.inode)
            } else if raw.device == 0, raw.is_vdso != 0 {
                .vdso
            } else {
                .anonymous
            }
        self.init(
            start: raw.start, end: raw.end, offset: raw.offset, backing: backing, isWritable: raw.flags & 2 != 0,
            isShared: raw.flags & 8 != 0)
    }
}
