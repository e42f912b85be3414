internal import CLinuxKernel
internal import Glibc

/// An open executable: the inode itself, not a name for it.
package final class ExecutableFile: Sendable {
    private let descriptor: Int32

    /// Bytes in the file when it was opened.
    package var size: Int64 { identity.size }

    /// Which file it is, in which state.
    package var identity: FileIdentity { openedAs.identity }

    /// Its state when it was opened.
    package let openedAs: FileState

    /// Tells files apart that had one inode number after another; 0 where the file system keeps no count.
    package let generation: UInt64

    /// What kind of file system holds it.
    package let fileSystem: FileSystemKind

    /// Opens a regular file by path, without waiting for anything.
    ///
    /// - Parameter path: In the agent's own mount namespace.
    /// - Throws: ``LinuxError``; `EINVAL` when it is not a regular file.
    package convenience init(path: String) throws(LinuxError) {
        let file = mintmark_openat(KernelFile.noDirectory, path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else { throw LinuxError("open") }
        try self.init(owning: file)
    }

    /// Takes over an open descriptor of a regular file.
    ///
    /// - Parameter descriptor: Closed when the object goes, also when this throws.
    /// - Throws: ``LinuxError``; `EINVAL` when it is not a regular file.
    init(owning descriptor: Int32) throws(LinuxError) {
        self.descriptor = descriptor
        var raw = mintmark_file_state()
        let failed = mintmark_file_state(descriptor, nil, &raw) != 0
        openedAs = FileState(raw)
        guard !failed else {
            (generation, fileSystem) = (0, FileSystemKind(number: 0))
            throw LinuxError("statx")
        }
        guard openedAs.isRegular else {
            (generation, fileSystem) = (0, FileSystemKind(number: 0))
            throw LinuxError("statx", code: EINVAL)
        }
        generation = mintmark_generation(descriptor)
        fileSystem = FileSystemKind(number: mintmark_filesystem_type(descriptor))
    }

    /// Its state now.
    ///
    /// - Throws: ``LinuxError``.
    package func state() throws(LinuxError) -> FileState {
        var raw = mintmark_file_state()
        guard mintmark_file_state(descriptor, nil, &raw) == 0 else { throw LinuxError("statx") }
        return FileState(raw)
    }

    /// Whether it has a POSIX access list beside its mode; nil when that cannot be told.
    package var hasAccessList: Bool? {
        switch mintmark_has_access_list(descriptor) {
        case 0: false
        case 1: true
        default: nil
        }
    }

    /// The mount's number, as `mountinfo` has it.
    package var mountNumber: UInt64? { UInt64(exactly: mintmark_mount_number(descriptor)) }

    deinit { close(descriptor) }

    /// Reads the file from its start, piece by piece.
    ///
    /// - Parameters:
    ///   - limit: The most bytes read, so that a file that grows meanwhile ends the read.
    ///   - consume: Called with each piece, in order; the buffer is reused.
    /// - Throws: ``LinuxError``; `EFBIG` past the limit.
    package func read(limit: Int64, _ consume: (UnsafeRawBufferPointer) -> Void) throws(LinuxError) {
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        var offset: Int64 = 0
        while true {
            let count = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
            if count < 0 {
                if errno == EINTR { continue }
                throw LinuxError("read exe")
            }
            if count == 0 { return }
            offset += Int64(count)
            guard offset <= limit else { throw LinuxError("read exe", code: EFBIG) }
            buffer.withUnsafeBytes { consume(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}
