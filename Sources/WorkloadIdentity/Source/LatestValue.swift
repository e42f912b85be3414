internal import Synchronization

/// One value that is replaced as a whole, and those who wait for the next one.
///
/// Nothing queues up: whoever is slow sees the newest value and none of those between, so a flood of updates costs no
/// memory.
package final class LatestValue<Value: Sendable>: Sendable {
    /// The value at one moment.
    package struct Snapshot: Sendable {
        /// Nil before the first, and once closed.
        package let value: Value?
        /// Grows with every change; zero before the first.
        package let version: UInt64
        package let isClosed: Bool
    }

    private struct State {
        var value: Value?
        var version: UInt64 = 0
        var isClosed = false
        var nextWaiter: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    private let state: Mutex<State>

    /// Begins with a value, or without one.
    package init(_ value: Value? = nil) {
        state = Mutex(State(value: value, version: value == nil ? 0 : 1))
    }

    /// What is held now.
    package var snapshot: Snapshot {
        state.withLock { Snapshot(value: $0.value, version: $0.version, isClosed: $0.isClosed) }
    }

    /// Replaces the value; has no effect once closed.
    package func set(_ value: Value) {
        wake { state in
            guard !state.isClosed else { return false }
            state.value = value
            state.version += 1
            return true
        }
    }

    /// Ends every wait, now and later, and lets go of the value.
    package func close() {
        wake { state in
            state.value = nil
            state.isClosed = true
            return true
        }
    }

    /// Waits until there is something newer than a version, until closed, or until cancelled.
    package func change(after version: UInt64) async -> Snapshot {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state in
                    guard state.version <= version, !state.isClosed, !Task.isCancelled else { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
        return snapshot
    }

    private func wake(_ change: (inout State) -> Bool) {
        let waiters = state.withLock { state in
            guard change(&state) else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }
}
