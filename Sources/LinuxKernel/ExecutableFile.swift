internal import Glibc

/// An open executable: the inode itself, not a name for it.
package final class ExecutableFile: Sendable {
    private let descriptor: Int32

    /// Bytes in the file when it was opened.
    package var size: Int64 { identity.size }

    /// Which file it is, in which state.
    package let identity: FileIdentity

    /// Takes over an open descriptor of a regular file.
    ///
    /// - Parameter descriptor: Closed when the object goes, also when this throws.
    /// - Throws: ``LinuxError``; `EINVAL` when it is not a regular file.
    init(owning descriptor: Int32) throws(LinuxError) {
        self.descriptor = descriptor
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            identity = FileIdentity(status)
            throw LinuxError("fstat exe")
        }
        identity = FileIdentity(status)
        guard status.st_mode & S_IFMT == S_IFREG else { throw LinuxError("fstat exe", code: EINVAL) }
    }

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

/// An inode at one moment: the same as long as nobody wrote to it, by what the file system says.
package struct FileIdentity: Hashable, Sendable {
    package let device: UInt64
    package let inode: UInt64
    package let size: Int64
    private let modified: [Int]
    private let changed: [Int]

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
        changed = [status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
    }
}
