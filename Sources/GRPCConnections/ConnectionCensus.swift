package import NIOCore
internal import Synchronization

/// Counts open connections, so that nobody can take all there may be.
package final class ConnectionCensus: Sendable {
    /// There are as many connections as there may be.
    package struct Full: Error, Hashable {}

    private struct State {
        var total = 0
        var byPlace: [String: Int] = [:]
    }

    private let total: Int?
    private let ofOne: Int?
    private let state = Mutex(State())

    /// Creates a census.
    ///
    /// - Parameters:
    ///   - total: Connections in all; nil for no limit.
    ///   - ofOne: Connections from one IPv4 address or IPv6 network; nil for no limit.
    package init(total: Int?, ofOne: Int?) { (self.total, self.ofOne) = (total, ofOne) }

    /// Counts a connection until its channel closes.
    ///
    /// - Throws: ``Full``; then it is not counted.
    package func admit(_ channel: any Channel) throws(Full) {
        guard total != nil || ofOne != nil else { return }
        let place = channel.remoteAddress.flatMap { Self.place(of: $0) }
        let isAdmitted = state.withLock { state in
            guard state.total < total ?? .max else { return false }
            if let place {
                guard state.byPlace[place, default: 0] < ofOne ?? .max else { return false }
                state.byPlace[place, default: 0] += 1
            }
            state.total += 1
            return true
        }
        guard isAdmitted else { throw Full() }
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { state in
                state.total -= 1
                guard let place else { return }
                let rest = (state.byPlace[place] ?? 1) - 1
                state.byPlace[place] = rest > 0 ? rest : nil
            }
        }
    }

    private static func place(of address: NIOCore.SocketAddress) -> String? {
        guard let text = address.ipAddress else { return nil }
        guard case .v6 = address else { return text }
        return PeerNetwork.name(ofIPv6: String(text.prefix { $0 != "%" }))
    }
}
