package import LinuxKernel
package import NIOCore

/// Asks the kernel who connected, through the channel that NIO accepted.
package enum PeerCredentialsReader {
    /// SO_PEERCRED and SO_PEERGROUPS of an accepted Unix socket.
    package static func read(from channel: any Channel) -> EventLoopFuture<PeerCredentials> {
        guard let options = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeFailedFuture(LinuxError("SO_PEERCRED", code: 95))
        }
        let future: EventLoopFuture<KernelCredentials> = options.unsafeGetSocketOption(
            level: .socket, name: .init(rawValue: PeerCredentials.socketOption))
        return future.flatMapThrowing { raw in
            var credentials = PeerCredentials(raw)
            // NIO gives an option only where its size is known beforehand, and of groups there can be any number.
            let groups = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self
            ) { descriptor in try PeerCredentials.groups(of: descriptor) }
            guard let groups else { throw LinuxError("SO_PEERGROUPS", code: 95) }
            credentials.groups = groups
            return credentials
        }
    }
}
