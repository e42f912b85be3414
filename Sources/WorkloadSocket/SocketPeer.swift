package import LinuxKernel

/// The process at the other end of an accepted connection.
package struct SocketPeer: Sendable {
    /// What the kernel noted at connect.
    package let credentials: PeerCredentials
    /// The same process, pinned.
    package let handle: ProcessHandle

    package init(credentials: PeerCredentials, handle: ProcessHandle) {
        (self.credentials, self.handle) = (credentials, handle)
    }
}
