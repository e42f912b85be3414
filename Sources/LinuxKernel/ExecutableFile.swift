internal import Glibc

/// An open executable: the inode itself, not a name for it.
package final class ExecutableFile: Sendable {
    private let descriptor: Int32

    /// Bytes in the file when it was opened.
    package let size: Int64

    /// Takes over an open descriptor of a regular file.
    ///
    /// - Parameter descriptor: Closed when the object goes, also when this throws.
    /// - Throws: ``LinuxError``; `EINVAL` when it is not a regular file.
    init(owning descriptor: Int32) throws(LinuxError) {
        self.descriptor = descriptor
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            size = 0
            throw LinuxError("fstat exe")
        }
        size = Int64(status.st_size)
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
