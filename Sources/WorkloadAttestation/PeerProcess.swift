package import LinuxKernel

/// The process at the other end of a workload connection, pinned for as long as anything holds this.
package final class PeerProcess: Sendable {
    /// What the kernel noted at connect.
    package let credentials: PeerCredentials
    package let handle: ProcessHandle

    /// Joins credentials and a pinned process.
    ///
    /// - Parameters:
    ///   - credentials: SO_PEERCRED of the connection.
    ///   - handle: The same process by pidfd.
    package init(credentials: PeerCredentials, handle: ProcessHandle) {
        (self.credentials, self.handle) = (credentials, handle)
    }
}
