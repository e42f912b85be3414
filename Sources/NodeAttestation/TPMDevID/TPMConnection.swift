internal import Glibc

/// A TPM behind a character device of the kernel's, or behind a Unix socket that speaks as one, as `swtpm` offers it.
///
/// Not over a network: where the TPM is, is what is to be proven.
package final class TPMConnection: TPMTransport {
    /// The longest answer read; no command used here has a longer one.
    package static let maximumAnswer = 4096

    /// How long a command may take: small TPMs look for primes for half a minute.
    private static let patience: Int32 = 120_000

    private let descriptor: Int32

    /// Opens a device or connects to a socket.
    ///
    /// - Throws: ``TPMError/transport(_:)``.
    package init(path: String) throws(TPMError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Self.failure(path) }
        switch status.st_mode & S_IFMT {
        case S_IFCHR:
            // Without a resource manager one process at a time may have it open; that is a reason to wait, not to fail.
            descriptor = TPMTurn.waiting(for: EBUSY) { open(path, O_RDWR | O_CLOEXEC | O_NOCTTY) }
            guard descriptor >= 0 else { throw Self.failure(path) }
        case S_IFSOCK: descriptor = try Self.connect(to: path)
        default: throw .transport("\(path) is neither a device nor a socket")
        }
    }

    deinit { close(descriptor) }

    package func exchange(_ command: [UInt8]) throws(TPMError) -> [UInt8] {
        // A device takes a command in one write only.
        var sent = 0
        while sent < command.count {
            let count = write(descriptor, Array(command[sent...]), command.count - sent)
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failure("write")
            }
            sent += count
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: Self.maximumAnswer)
        repeat {
            var watch = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&watch, 1, Self.patience)
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else { throw .transport("it does not answer") }
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failure("read")
            }
            guard count > 0 else { throw .transport("it went away") }
            answer += buffer[..<count]
        } while try !Self.isWhole(answer)
        return answer
    }

    /// Whether an answer has as many bytes as it says.
    private static func isWhole(_ answer: [UInt8]) throws(TPMError) -> Bool {
        guard answer.count >= 10 else { return false }
        let size = answer[2..<6].reduce(0) { $0 << 8 | Int($1) }
        guard size >= 10, size <= maximumAnswer, answer.count <= size else {
            throw .transport("an answer has another length than it says")
        }
        return answer.count == size
    }

    private static func connect(to path: String) throws(TPMError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { field -> Bool in
            guard bytes.count < field.count else { return false }
            field.copyBytes(from: bytes)
            return true
        }
        guard fits else { throw .transport("\(path) is too long for a socket") }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("socket") }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let error = failure(path)
            close(descriptor)
            throw error
        }
        return descriptor
    }

    private static func failure(_ what: String) -> TPMError {
        .transport("\(what): \(String(cString: strerror(errno)).lowercased())")
    }
}
