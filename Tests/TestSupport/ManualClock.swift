package import Foundation
internal import Platform
internal import Synchronization

/// A clock that stands still until a test moves it.
package final class ManualClock: WallClock {
    private enum Deadline {
        case wall(Date)
        case elapsed(Duration)
    }

    private struct State {
        var now: Date
        /// What has passed since the start, however the clock was set.
        var elapsed = Duration.zero
        var sleepers: [(deadline: Deadline, wake: CheckedContinuation<Void, any Error>, id: UInt64)] = []
        var next: UInt64 = 0

        func isDue(_ deadline: Deadline) -> Bool {
            switch deadline {
            case .wall(let date): date <= now
            case .elapsed(let duration): duration <= elapsed
            }
        }
    }

    private let state: Mutex<State>

    /// Starts at an instant.
    package init(_ now: Date = Date(timeIntervalSince1970: 1_800_000_000)) { state = Mutex(State(now: now)) }

    package var now: Date { state.withLock { $0.now } }

    /// Moves the clock, forwards or back, and wakes whoever waited for it; forwards, that much time has passed as well.
    package func advance(by duration: Duration) { move(by: duration, elapsed: max(.zero, duration)) }

    /// Sets the clock by a span, forwards or back, while no time passes.
    package func set(by duration: Duration) { move(by: duration, elapsed: .zero) }

    private func move(by duration: Duration, elapsed: Duration) {
        let due = state.withLock { state in
            state.now += duration.timeInterval
            state.elapsed += elapsed
            let sleepers = state.sleepers
            state.sleepers = sleepers.filter { !state.isDue($0.deadline) }
            return sleepers.filter { state.isDue($0.deadline) }
        }
        for sleeper in due { sleeper.wake.resume() }
    }

    package func sleep(until deadline: Date) async throws { try await sleep(.wall(deadline)) }

    package func sleep(for duration: Duration) async throws {
        try await sleep(.elapsed(state.withLock { $0.elapsed } + duration))
    }

    private func sleep(_ deadline: Deadline) async throws {
        let id = state.withLock {
            $0.next += 1
            return $0.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isDue = state.withLock { state in
                    guard !state.isDue(deadline), !Task.isCancelled else { return true }
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
