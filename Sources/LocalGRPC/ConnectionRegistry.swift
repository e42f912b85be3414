internal import NIOCore
internal import Synchronization

/// The listener and the connections that are open, and who waits for them to be gone.
final class ConnectionRegistry: Sendable {
    /// How a connection is told to end.
    enum End: Sendable {
        /// When its calls are over.
        case onceIdle
        /// Now.
        case once
    }

    /// How the registry reaches a connection from any thread.
    struct Connection: Sendable {
        let channel: any Channel
        let end: @Sendable (End) -> Void
    }

    private struct State {
        var listener: (any Channel)?
        var isListening: Bool?
        var stopping: End?
        var connections: [ObjectIdentifier: Connection] = [:]
        var waitingForListener: [CheckedContinuation<Bool, Never>] = []
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []

        var isClosed: Bool { stopping != nil && listener == nil && connections.isEmpty }
    }

    private let state = Mutex(State())

    /// The listener is there.
    func begin(_ listener: any Channel) {
        let (waiting, isStopping) = state.withLock { state in
            (state.listener, state.isListening) = (listener, true)
            defer { state.waitingForListener = [] }
            return (state.waitingForListener, state.stopping != nil)
        }
        for continuation in waiting { continuation.resume(returning: true) }
        listener.closeFuture.whenComplete { [self] _ in
            change {
                $0.listener = nil
                // A listener that goes by itself takes no more peers, and so there is nothing to wait for.
                $0.stopping = $0.stopping ?? .onceIdle
            }
        }
        if isStopping { listener.close(promise: nil) }
    }

    /// There will be no listener any more.
    func end() {
        let waiting = state.withLock { state in
            state.isListening = state.isListening ?? false
            defer { state.waitingForListener = [] }
            return state.waitingForListener
        }
        for continuation in waiting { continuation.resume(returning: false) }
    }

    deinit { end() }

    func waitUntilListening() async -> Bool {
        await withCheckedContinuation { continuation in
            let known: Bool? = state.withLock { state in
                if state.isListening == nil { state.waitingForListener.append(continuation) }
                return state.isListening
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    /// Files a connection until its channel closes.
    ///
    /// - Throws: `ChannelError` when nothing is admitted any more.
    func admit(_ connection: Connection) throws {
        let key = ObjectIdentifier(connection.channel)
        try state.withLock {
            guard $0.stopping == nil else { throw ChannelError.alreadyClosed }
            $0.connections[key] = connection
        }
        connection.channel.closeFuture.whenComplete { [self] _ in change { $0.connections[key] = nil } }
    }

    /// Takes no more peers, and sends those away that are there.
    func stop(at end: End) {
        let (listener, connections) = state.withLock { state in
            state.stopping = end
            return (state.listener, Array(state.connections.values))
        }
        listener?.close(promise: nil)
        for connection in connections { connection.end(end) }
        change { _ in }
    }

    /// Waits until it was stopped and everything is closed.
    func waitUntilClosed() async {
        await withCheckedContinuation { continuation in
            let isClosed = state.withLock { state in
                if !state.isClosed { state.waitingForEnd.append(continuation) }
                return state.isClosed
            }
            if isClosed { continuation.resume() }
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let waiting = state.withLock { state in
            body(&state)
            guard state.isClosed else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waitingForEnd = [] }
            return state.waitingForEnd
        }
        for continuation in waiting { continuation.resume() }
    }
}
