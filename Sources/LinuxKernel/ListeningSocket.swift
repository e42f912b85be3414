internal import CLinuxKernel
internal import Glibc

/// A bound Unix stream socket on which connections arrive.
package final class ListeningSocket: Sendable {
    package let descriptor: Int32

    /// Takes over a bound socket, makes it non-blocking, and listens.
    ///
    /// - Parameters:
    ///   - descriptor: Closed when the object goes, also when this throws.
    ///   - backlog: Connections that may wait; above `net.core.somaxconn` the kernel takes that.
    /// - Throws: ``LinuxError``.
    package init(owning descriptor: Int32, backlog: Int32 = 4096) throws(LinuxError) {
        self.descriptor = descriptor
        // The accepted sockets of newer kernels inherit it, so that nothing is read that has no sender.
        guard mintmark_pass_credentials(descriptor) == 0 else { throw LinuxError("setsockopt SO_PASSCRED") }
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0,
            fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
        else { throw LinuxError("fcntl") }
        guard listen(descriptor, backlog) == 0 else { throw LinuxError("listen") }
    }

    /// Makes a socket at a path and listens there.
    ///
    /// - Parameters:
    ///   - path: At most 107 bytes; nothing may be there.
    ///   - mode: Permission bits; connecting needs write permission. In force before anyone can connect.
    /// - Throws: ``LinuxError``; `ENAMETOOLONG`, `EADDRINUSE`.
    package convenience init(path: String, mode: UInt32) throws(LinuxError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path), !path.utf8.contains(0) else {
            throw LinuxError("bind", code: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LinuxError("socket") }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // Nobody can connect before listen(2), so the mode is right from the first connection on.
        guard bound == 0, chmod(path, mode_t(mode)) == 0 else {
            let error = LinuxError("bind")
            close(descriptor)
            throw error
        }
        try self.init(owning: descriptor, backlog: 4096)
    }

    deinit { close(descriptor) }

    /// Refuses connections from now on; those that wait already may still be accepted.
    package func refuse() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// What came of asking for the next connection.
    package enum Acceptance: Sendable {
        /// A connection, and what the kernel noted of who made it.
        case connection(ConnectedSocket, PeerCredentials)
        /// One that was gone, or could not be used; there may be more.
        case none
        /// No more at the moment.
        case wait
    }

    /// Takes the next connection, if there is one.
    ///
    /// - Throws: ``LinuxError`` when the kernel gives none for lack of something, such as `EMFILE`.
    package func accept() throws(LinuxError) -> Acceptance {
        var peer = mintmark_ucred()
        let accepted = mintmark_accept(descriptor, &peer)
        if accepted >= 0 { return .connection(ConnectedSocket(owning: accepted), PeerCredentials(peer)) }
        if accepted == MINTMARK_ACCEPTED_NONE { return .none }
        switch errno {
        case EAGAIN: return .wait
        case EINTR, ECONNABORTED: return .none
        default: throw LinuxError("accept4")
        }
    }
}
