package import LinuxKernel
package import NIOCore

/// Asks the kernel who connected, through the channel that NIO accepted.
package enum PeerCredentialsReader {
    /// SO_PEERCRED of an accepted Unix socket.
    package static func read(from channel: any Channel) -> EventLoopFuture<PeerCredentials> {
        guard let options = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeFailedFuture(LinuxError("SO_PEERCRED", code: 95))
        }
        let future: EventLoopFuture<KernelCredentials> = options.unsafeGetSocketOption(
            level: .socket, name: .init(rawValue: PeerCredentials.socketOption))
        return future.map { PeerCredentials($0) }
    }

    /// SO_PEERPIDFD of an accepted Unix socket: the same process, pinned (Linux 6.5).
    ///
    /// - Returns: A descriptor that the caller owns.
    package static func readPidfd(from channel: any Channel) -> EventLoopFuture<Int32> {
        guard let options = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeFailedFuture(LinuxError("SO_PEERPIDFD", code: 95))
        }
        return options.unsafeGetSocketOption(level: .socket, name: .init(rawValue: PeerCredentials.pidfdSocketOption))
    }
}
