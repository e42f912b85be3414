internal import GRPCConnections

/// Where a server listens.
package enum ListeningEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// A Unix socket, with the permission bits that say who may connect, and the group they are about if not our own.
    case unix(UnixSocketPath, mode: UInt32, group: UInt32? = nil)
    /// A TCP address; port 0 takes any.
    case tcp(host: String, port: Int)

    package var description: String {
        switch self {
        case .unix(let path, mode: _, group: _): path.path
        case .tcp(let host, let port): "\(host):\(port)"
        }
    }
}

extension ListeningEndpoint {
    /// The same for the transport: a Unix socket appears with its final mode or not at all.
    var connections: ConnectionEndpoint {
        switch self {
        case .unix(let path, let mode, let group):
            .unix(path: path.staging) { try path.publish(mode: mode, group: group) }
        case .tcp(let host, let port): .tcp(host: host, port: port)
        }
    }
}
