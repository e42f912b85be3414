internal import GRPCCore
internal import Synchronization

/// Tells the handler of a call that nobody waits for its answer, also when it has not begun yet.
final class CallCancellation: Sendable {
    private struct State {
        var handle: ServerContext.RPCCancellationHandle?
        var isCancelled = false
    }

    private let state = Mutex(State())

    /// The handler begins, and can be told by a handle.
    func begin(_ handle: ServerContext.RPCCancellationHandle) {
        let isCancelled = state.withLock { state in
            state.handle = handle
            return state.isCancelled
        }
        if isCancelled { handle.cancel() }
    }

    func cancel() {
        let handle = state.withLock { state in
            state.isCancelled = true
            return state.handle
        }
        handle?.cancel()
    }
}
