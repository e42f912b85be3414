internal import CLinuxKernel
internal import Glibc

/// Settings of the machine.
package enum SystemSetting {
    /// A setting of `/proc/sys` that is one whole number; nil when there is none.
    package static func number(_ path: String) -> Int? {
        guard let bytes = try? KernelFile.read(path, limit: 64) else { return nil }
        return Int(String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace })
    }

    /// Whether something is at a path.
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether the kernel pins the peer of a Unix socket (Linux 6.5).
    package static var hasPeerPidfd: Bool {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            return false
        }
        defer { for end in ends { close(end) } }
        var descriptor: Int32 = -1
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(ends[0], SOL_SOCKET, MINTMARK_SO_PEERPIDFD, &descriptor, &size) == 0 else { return false }
        close(descriptor)
        return true
    }
}
