package import Foundation
internal import Platform
internal import Synchronization

/// A clock that stands still until a test moves it.
package final class ManualClock: WallClock {
    private struct State {
        var now: Date
        var sleepers: [(deadline: Date, wake: CheckedContinuation<Void, any Error>, id: UInt64)] = []
        var next: UInt64 = 0
    }

    private let state: Mutex<State>

    /// Starts at an instant.
    package init(_ now: Date = Date(timeIntervalSince1970: 1_800_000_000)) { state = Mutex(State(now: now)) }

    package var now: Date { state.withLock { $0.now } }

    /// Moves the clock, forwards or back, and wakes whoever waited for it.
    package func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now += duration.timeInterval
            let due = state.sleepers.filter { $0.deadline <= state.now }
            state.sleepers.removeAll { $0.deadline <= state.now }
            return due
        }
        for sleeper in due { sleeper.wake.resume() }
    }

    package func sleep(until deadline: Date) async throws {
        let id = state.withLock {
            $0.next += 1
            return $0.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isDue = state.withLock { state in
                    guard deadline > state.now, !Task.isCancelled else { return true }
                    state.sleepers.append((deadline, continuation, id))
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.first { $0.id == id }
                state.sleepers.removeAll { $0.id == id }
                return sleeper
            }
            sleeper?.wake.resume(throwing: CancellationError())
        }
        try Task.checkCancellation()
    }
}
