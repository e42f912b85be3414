internal import NIOCore
internal import Synchronization

/// What is known of each open connection, by the name its channel was given.
final class ConnectionTable<Connection: Sendable>: Sendable {
    private struct State {
        var next: UInt64 = 0
        var connections: [String: Connection] = [:]
    }

    private let state = Mutex(State())

    /// The connection behind gRPC's `remotePeer`; nil once it is closed, and then every call on it is refused.
    subscript(remotePeer: String) -> Connection? { state.withLock { $0.connections[remotePeer] } }

    /// Files a connection until its channel closes.
    ///
    /// - Returns: The name to give its channel.
    func insert(_ connection: Connection, until end: EventLoopFuture<Void>) throws -> NIOCore.SocketAddress {
        let name = state.withLock {
            $0.next += 1
            return "#\($0.next)"
        }
        let address = try NIOCore.SocketAddress(unixDomainSocketPath: name)
        let key = "unix:\(name)"
        state.withLock { $0.connections[key] = connection }
        end.whenComplete { [self] _ in state.withLock { $0.connections[key] = nil } }
        return address
    }
}
