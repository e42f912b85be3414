package import CLinuxKernel

/// What the kernel noted about a Unix socket's peer when it connected (`struct ucred`).
package struct PeerCredentials: Hashable, Sendable {
    package let pid: Int32
    package let uid: UInt32
    package let gid: UInt32

    package init(pid: Int32, uid: UInt32, gid: UInt32) {
        (self.pid, self.uid, self.gid) = (pid, uid, gid)
    }
}

/// `struct ucred` as the kernel fills it in.
package typealias KernelCredentials = mintmark_ucred

extension PeerCredentials {
    /// Takes over what the kernel filled in.
    package init(_ raw: KernelCredentials) { self.init(pid: raw.pid, uid: raw.uid, gid: raw.gid) }

    /// The number of the socket option that fills in ``KernelCredentials``.
    package static var socketOption: CInt { MINTMARK_SO_PEERCRED }

    /// The number of the socket option that gives a pidfd (Linux 6.5).
    package static var pidfdSocketOption: CInt { MINTMARK_SO_PEERPIDFD }
}
