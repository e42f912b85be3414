package import CLinuxKernel
internal import Glibc

/// What the kernel noted about a Unix socket's peer when it connected (`struct ucred`).
package struct PeerCredentials: Hashable, Sendable {
    package let pid: Int32
    package let uid: UInt32
    package let gid: UInt32
    /// The other groups, where somebody has asked for them.
    package var groups: [UInt32]

    package init(pid: Int32, uid: UInt32, gid: UInt32, groups: [UInt32] = []) {
        (self.pid, self.uid, self.gid, self.groups) = (pid, uid, gid, groups)
    }
}

/// `struct ucred` as the kernel fills it in.
package typealias KernelCredentials = mintmark_ucred

extension PeerCredentials {
    /// Takes over what the kernel filled in.
    package init(_ raw: KernelCredentials) { self.init(pid: raw.pid, uid: raw.uid, gid: raw.gid) }

    /// Reads the other groups that a Unix socket's peer had when it connected (`SO_PEERGROUPS`, Linux 4.13).
    ///
    /// - Parameter descriptor: A connected Unix socket.
    /// - Returns: In no order; the first of the peer's groups may be among them or not.
    /// - Throws: ``LinuxError``.
    package static func groups(of descriptor: CInt) throws(LinuxError) -> [UInt32] {
        // As many as a process can have (NGROUPS_MAX) take 256 KiB; most have a few.
        for capacity in [64, 65_536] {
            var groups = [UInt32](repeating: 0, count: capacity)
            let count = mintmark_peer_groups(descriptor, &groups, groups.count)
            if count >= 0 { return Array(groups.prefix(Int(count))) }
            guard errno == ERANGE else { break }
        }
        throw LinuxError("SO_PEERGROUPS")
    }

    /// The number of the socket option that fills in ``KernelCredentials``.
    package static var socketOption: CInt { MINTMARK_SO_PEERCRED }

    /// The number of the socket option that gives a pidfd (Linux 6.5).
    package static var pidfdSocketOption: CInt { MINTMARK_SO_PEERPIDFD }
}
