package import Foundation
internal import Platform

/// Tells a calendar that goes with the time from one that was set.
///
/// What a wrong calendar calls ended may be good: as long as it is not settled, nothing is forgotten that would be missed.
package struct ClockWatch: Sendable {
    /// How far calendar and time may drift apart between two looks.
    private static let tolerance: TimeInterval = 2

    private let patience: Duration
    private var last: (calendar: Date, time: Duration)
    private var settles: Duration

    /// Starts watching a calendar of which nothing is known yet.
    ///
    /// - Parameters:
    ///   - calendar: The instant now.
    ///   - time: What has passed since any moment; cannot be set.
    ///   - patience: How long after a step the calendar counts as unsettled.
    package init(calendar: Date, time: Duration, patience: Duration) {
        self.patience = patience
        last = (calendar, time)
        settles = time + patience
    }

    /// Looks again.
    ///
    /// - Returns: Whether the calendar has gone with the time for long enough.
    package mutating func isSettled(calendar: Date, time: Duration) -> Bool {
        let drift = calendar.timeIntervalSince(last.calendar) - (time - last.time).timeInterval
        last = (calendar, time)
        if abs(drift) > Self.tolerance { settles = time + patience }
        return time >= settles
    }
}
