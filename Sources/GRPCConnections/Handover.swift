internal import NIOCore
internal import Synchronization

/// Watches each accepted channel until the stock transport has taken it over, so that stopping loses none.
///
/// A channel that was prepared, but that the transport never fetched because it had stopped, is dropped in a state that
/// traps. So stopping goes in steps: nothing new is admitted, then what is on the way arrives or is closed, and only then
/// the transport is told.
final class Handover: Sendable {
    private struct State {
        var isStopping = false
        var open: [ObjectIdentifier: any Channel] = [:]
        var onTheWay: Set<ObjectIdentifier> = []
        var whenArrived: [@Sendable () -> Void] = []
        var whenClosed: [@Sendable () -> Void] = []

        /// What can be done by now.
        mutating func due() -> [@Sendable () -> Void] {
            var due: [@Sendable () -> Void] = []
            if onTheWay.isEmpty { swap(&due, &whenArrived) }
            guard open.isEmpty else { return due }
            defer { whenClosed = [] }
            return due + whenClosed
        }
    }

    private let state = Mutex(State())

    /// Admits a channel that was just accepted.
    ///
    /// - Throws: `ChannelError` when nothing is admitted any more.
    func admit(_ channel: any Channel) throws {
        let key = ObjectIdentifier(channel)
        try state.withLock {
            guard !$0.isStopping else { throw ChannelError.alreadyClosed }
            $0.open[key] = channel
            $0.onTheWay.insert(key)
        }
        channel.closeFuture.whenComplete { [self] _ in
            change {
                $0.open[key] = nil
                $0.onTheWay.remove(key)
            }
        }
    }

    /// The transport has a channel, and will see to its end.
    func arrived(_ channel: any Channel) { change { $0.onTheWay.remove(ObjectIdentifier(channel)) } }

    /// Admits nothing more, and calls back when nothing is on the way.
    func stop(then arrived: @escaping @Sendable () -> Void) {
        change {
            $0.isStopping = true
            $0.whenArrived.append(arrived)
        }
    }

    /// Admits nothing more, closes everything, and calls back when it is closed.
    func closeAll(then closed: @escaping @Sendable () -> Void) {
        let channels = state.withLock {
            $0.isStopping = true
            return Array($0.open.values)
        }
        for channel in channels { channel.close(promise: nil) }
        change { $0.whenClosed.append(closed) }
    }

    private func change(_ body: (inout State) -> Void) {
        let due = state.withLock { state in
            body(&state)
            return state.due()
        }
        for action in due { action() }
    }
}
