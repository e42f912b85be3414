internal import CLinuxKernel
internal import Glibc

/// `/proc/PID` of one process, held open: once the process ends, every read fails instead of naming its successor.
package final class ProcessDirectory: Sendable {
    private let descriptor: Int32
    private let handle: ProcessHandle

    /// Opens the directory and confirms afterwards that it is still the pinned process's.
    ///
    /// - Parameter handle: The process.
    /// - Throws: ``LinuxError`` when the process is gone or may not be looked at.
    package init(of handle: ProcessHandle) throws(LinuxError) {
        let descriptor = open("/proc/\(handle.pid)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LinuxError("open /proc/pid") }
        self.descriptor = descriptor
        self.handle = handle
        guard handle.isAlive else { throw LinuxError("open /proc/pid", code: ESRCH) }
    }

    deinit { close(descriptor) }

    /// The effective ids and groups now, from `status`.
    ///
    /// - Throws: ``LinuxError``; `EPROTO` when the kernel's text is not what was expected.
    package func credentials() throws(LinuxError) -> ProcessCredentials {
        let text = try contents(of: "status", limit: 1 << 20)
        guard let credentials = ProcessCredentials(status: text) else { throw LinuxError("read status", code: EPROTO) }
        return credentials
    }

    /// The path the kernel shows for the executable; it may lie about other mount namespaces.
    ///
    /// - Throws: ``LinuxError``.
    package func executablePath() throws(LinuxError) -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX) + 1)
        let length = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { readlinkat(descriptor, "exe", $0, text.count) } ?? -1
            }
        }
        guard length >= 0 else { throw LinuxError("readlink exe") }
        guard length < buffer.count, let path = String(validating: buffer[..<length], as: UTF8.self) else {
            throw LinuxError("readlink exe", code: ENAMETOOLONG)
        }
        return path
    }

    /// Opens the file that the process executes, whatever its path says now.
    ///
    /// - Throws: ``LinuxError``.
    package func openExecutable() throws(LinuxError) -> ExecutableFile {
        let file = mintmark_openat(descriptor, "exe", O_RDONLY | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else { throw LinuxError("open exe") }
        return try ExecutableFile(owning: file)
    }

    private func contents(of name: String, limit: Int) throws(LinuxError) -> String {
        let file = mintmark_openat(descriptor, name, O_RDONLY)
        guard file >= 0 else { throw LinuxError("open \(name)") }
        defer { close(file) }
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = read(file, &buffer, buffer.count)
            guard count >= 0 else { throw LinuxError("read \(name)") }
            if count == 0 { return String(decoding: contents, as: UTF8.self) }
            contents.append(contentsOf: buffer[..<count])
            // A text cut short would end in another number than the kernel wrote.
            guard contents.count <= limit else { throw LinuxError("read \(name)", code: EFBIG) }
        }
    }
}
