package import Foundation

/// Wall time, because certificates expire by the calendar.
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
}

extension WallClock {
    /// Waits for a span of wall time.
    package func sleep(for duration: Duration) async throws { try await sleep(until: now + duration.timeInterval) }
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
