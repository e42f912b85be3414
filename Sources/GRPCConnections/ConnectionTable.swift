internal import NIOCore
internal import Synchronization

/// What is known of each open connection, by the name its channel was given.
final class ConnectionTable<Connection: Sendable>: Sendable {
    struct Known {
        let connection: Connection
        /// Where it comes from, as gRPC writes addresses; nil for a Unix socket, which has no other name.
        let address: String?
    }

    private struct State {
        var next: UInt64 = 0
        var connections: [String: Known] = [:]
    }

    private let state = Mutex(State())

    /// The connection behind gRPC's `remotePeer`; nil once it is closed, and then every call on it is refused.
    subscript(remotePeer: String) -> Known? { state.withLock { $0.connections[remotePeer] } }

    /// Files a connection until its channel closes.
    ///
    /// - Returns: The name to give its channel.
    func insert(_ connection: Connection, of channel: any Channel) throws -> NIOCore.SocketAddress {
        let name = state.withLock {
            $0.next += 1
            return "#\($0.next)"
        }
        let address = try NIOCore.SocketAddress(unixDomainSocketPath: name)
        let key = "unix:\(name)"
        let known = Known(connection: connection, address: channel.remoteAddress?.text)
        state.withLock { $0.connections[key] = known }
        channel.closeFuture.whenComplete { [self] _ in state.withLock { $0.connections[key] = nil } }
        return address
    }
}

extension NIOCore.SocketAddress {
    fileprivate var text: String? {
        switch (self, ipAddress, port) {
        case (.v4, let address?, let port?): "ipv4:\(address):\(port)"
        case (.v6, let address?, let port?): "ipv6:[\(address)]:\(port)"
        default: nil
        }
    }
}
