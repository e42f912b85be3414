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
}
