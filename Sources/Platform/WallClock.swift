package import Foundation

/// Wall time, because certificates expire by the calendar, and the time that passes whatever the calendar says.
///
/// Timeouts take `any Clock<Duration>`.
package protocol WallClock: Sendable {
    /// The instant now.
    var now: Date { get }

    /// Waits until the calendar says `deadline`, also when the clock is set or the machine sleeps meanwhile.
    ///
    /// - Parameter deadline: When to return; at once if it has passed.
    /// - Throws: `CancellationError`.
    func sleep(until deadline: Date) async throws

    /// Waits for a span of time, no longer and no shorter when the calendar is set meanwhile.
    ///
    /// - Parameter duration: How long; returns at once for none.
    /// - Throws: `CancellationError`.
    func sleep(for duration: Duration) async throws
}

/// The machine's own clock.
package struct SystemWallClock: WallClock {
    package init() {}

    package var now: Date { Date() }

    package func sleep(until deadline: Date) async throws {
        // The longest nap bounds how late a step of the clock, or a resume from suspend, is noticed.
        let longestNap: TimeInterval = 5
        while true {
            let rest = deadline.timeIntervalSince(Date())
            guard rest > 0 else { return try Task.checkCancellation() }
            try await Task.sleep(for: .seconds(min(rest, longestNap)))
        }
    }

    package func sleep(for duration: Duration) async throws {
        guard duration > .zero else { return try Task.checkCancellation() }
        try await Task.sleep(for: duration, clock: .continuous)
    }
}

extension Duration {
    /// The duration in seconds, for arithmetic with `Date`.
    package var timeInterval: TimeInterval {
        let (seconds, attoseconds) = components
        return TimeInterval(seconds) + TimeInterval(attoseconds) / 1e18
    }

    /// Whole seconds, rounded towards zero.
    package var wholeSeconds: Int64 { components.seconds }
}
