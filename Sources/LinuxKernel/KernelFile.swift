internal import CLinuxKernel
internal import Glibc

/// Reads files of the kernel's, which have no size before they are read.
package enum KernelFile {
    /// The directory that stands for no directory: paths are absolute.
    static let noDirectory = AT_FDCWD

    /// Reads a file whole.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - limit: The most bytes read.
    /// - Returns: All of it.
    /// - Throws: ``LinuxError``; `EFBIG` past the limit.
    package static func read(_ path: String, limit: Int) throws(LinuxError) -> [UInt8] {
        var buffer: [UInt8] = []
        let count = try read(path, below: noDirectory, into: &buffer, limit: limit)
        return Array(buffer.prefix(count))
    }

    /// Reads a file whole into a buffer that is used again and again.
    ///
    /// - Parameters:
    ///   - name: The file.
    ///   - directory: The directory that a relative name is below.
    ///   - buffer: Grows as needed; what is beyond the count is left from before.
    ///   - limit: The most bytes read.
    /// - Returns: How many bytes were read.
    /// - Throws: ``LinuxError``; `EFBIG` past the limit.
    static func read(
        _ name: String, below directory: Int32, into buffer: inout [UInt8], limit: Int
    ) throws(LinuxError) -> Int {
        let file = mintmark_openat(directory, name, O_RDONLY | O_NOCTTY)
        guard file >= 0 else { throw LinuxError("open \(name)") }
        defer { close(file) }
        if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: 4096) }
        var filled = 0
        while true {
            if filled == buffer.count { buffer.append(contentsOf: repeatElement(0, count: buffer.count)) }
            let count = buffer.withUnsafeMutableBytes { bytes in
                bytes.baseAddress.map { Glibc.read(file, $0 + filled, bytes.count - filled) } ?? -1
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw LinuxError("read \(name)")
            }
            if count == 0 { return filled }
            filled += count
            // A text cut short would end in another number than the kernel wrote.
            guard filled <= limit else { throw LinuxError("read \(name)", code: EFBIG) }
        }
    }

    /// What a path in the agent's own mount namespace leads to.
    ///
    /// - Throws: ``LinuxError``.
    package static func state(of path: String) throws(LinuxError) -> FileState {
        var raw = mintmark_file_state()
        guard mintmark_file_state(noDirectory, path, &raw) == 0 else { throw LinuxError("statx") }
        return FileState(raw)
    }

    /// Reads a link below a directory into a buffer that is used again.
    ///
    /// - Returns: How many bytes it has.
    /// - Throws: ``LinuxError``; `ENAMETOOLONG` when it may have been cut short.
    static func link(_ name: String, below directory: Int32, into buffer: inout [UInt8]) throws(LinuxError) -> Int {
        if buffer.count <= Int(PATH_MAX) { buffer = [UInt8](repeating: 0, count: Int(PATH_MAX) + 1) }
        let length = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { readlinkat(directory, name, $0, text.count) } ?? -1
            }
        }
        guard length >= 0 else { throw LinuxError("readlink \(name)") }
        guard length < buffer.count else { throw LinuxError("readlink \(name)", code: ENAMETOOLONG) }
        return length
    }
}
