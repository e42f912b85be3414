internal import Glibc

/// One request and its answer over a Unix socket, on the calling thread, within a deadline.
package enum UnixExchange {
    /// Connects, sends everything and reads until the other end closes.
    ///
    /// - Parameters:
    ///   - request: What is sent.
    ///   - path: The socket.
    ///   - timeout: For all of it.
    ///   - limit: The most bytes read.
    /// - Returns: The answer, whole.
    /// - Throws: ``LinuxError``; `ETIMEDOUT` past the deadline, `EFBIG` past the limit.
    package static func run(
        _ request: [UInt8], path: String, timeout: Duration, limit: Int
    ) throws(LinuxError) -> [UInt8] {
        let deadline =
            milliseconds() + Int64(timeout.components.seconds) * 1000
            + Int64(timeout.components.attoseconds / 1_000_000_000_000_000)
        let socket = Glibc.socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard socket >= 0 else { throw LinuxError("socket") }
        defer { close(socket) }
        try connect(socket, to: path)
        var sent = 0
        while sent < request.count {
            let count = request.withUnsafeBytes { bytes in
                bytes.baseAddress.map { send(socket, $0 + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) } ?? -1
            }
            if count >= 0 { sent += count } else { try wait(socket, POLLOUT, until: deadline) }
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = recv(socket, &buffer, buffer.count, 0)
            if count == 0 { return answer }
            if count > 0 {
                answer.append(contentsOf: buffer[..<count])
                guard answer.count <= limit else { throw LinuxError("recv", code: EFBIG) }
                // A trickle keeps the socket readable; only the deadline ends it.
                guard milliseconds() < deadline else { throw LinuxError("recv", code: ETIMEDOUT) }
            } else {
                try wait(socket, POLLIN, until: deadline)
            }
        }
    }

    private static func connect(_ socket: Int32, to path: String) throws(LinuxError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { field -> Bool in
            guard bytes.count < field.count else { return false }
            field.copyBytes(from: bytes)
            return true
        }
        guard fits else { throw LinuxError("connect", code: ENAMETOOLONG) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw LinuxError("connect") }
    }

    /// Waits after a call that could not go on at once; throws its error when it failed for good.
    private static func wait(_ socket: Int32, _ events: Int32, until deadline: Int64) throws(LinuxError) {
        if errno == EINTR { return }
        guard errno == EAGAIN else { throw LinuxError("exchange") }
        let rest = deadline - milliseconds()
        guard rest > 0 else { throw LinuxError("exchange", code: ETIMEDOUT) }
        var watch = pollfd(fd: socket, events: Int16(events), revents: 0)
        _ = poll(&watch, 1, Int32(clamping: rest))
    }

    private static func milliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
