internal import LinuxKernel
internal import Synchronization

/// Compares the clock of events with that of files, also after someone has set it.
final class EventClockReadings: Sendable {
    private let steps: Mutex<ClockSteps>
    private let slack: Int64

    init() {
        let start = EventClock.monotonic
        steps = Mutex(ClockSteps(offset: EventClock.realtimeOffset, readAfter: start))
        slack = EventClock.stampSlack
    }

    /// Notes whether the clock has been set since the last look.
    func look() { steps.withLock { Self.look(&$0) } }

    /// The earliest stamp that a change after an instant can have left by now; ask after the stamp was read.
    func moment(of time: UInt64) -> ImageJudge.Moment? {
        let earliest = steps.withLock { steps in
            Self.look(&steps)
            return steps.earliestStamp(after: time)
        }
        return earliest.map { ImageJudge.Moment(instant: $0, slack: slack) }
    }

    private static func look(_ steps: inout ClockSteps) {
        let before = EventClock.monotonic
        let offset = EventClock.realtimeOffset
        steps.note(offset: offset, readAfter: before, andBefore: EventClock.monotonic)
    }
}

/// What had to be added to the clock of events for the time of day, over time.
///
/// Files are stamped with the time of day. When that is set back, what is changed afterwards carries a stamp that looks
/// earlier than what happened before; when it is set forward, nothing does. So for each instant there is an earliest stamp
/// that a later change can carry: a file with an older one has not been changed since.
package struct ClockSteps: Sendable {
    /// A time during which nobody set the clock.
    private struct Stretch {
        /// An instant not later than its beginning.
        var start: UInt64
        /// An instant not earlier than its end; nil while it lasts.
        var end: UInt64?
        var offset: Int64
    }

    private static let most = 16
    /// Two readings of the same offset may differ by so much, in nanoseconds.
    private static let tolerance: UInt64 = 1_000_000

    private var stretches: [Stretch]
    private var lastLook: UInt64

    /// - Parameters:
    ///   - offset: What has to be added now, in nanoseconds.
    ///   - start: An instant of the clock of events before that was read; of what was earlier nothing is known.
    package init(offset: Int64, readAfter start: UInt64) {
        stretches = [Stretch(start: start, end: nil, offset: offset)]
        lastLook = start
    }

    /// Notes a reading.
    ///
    /// - Parameters:
    ///   - offset: What has to be added now, in nanoseconds.
    ///   - before: An instant before it was read.
    ///   - after: One after.
    package mutating func note(offset: Int64, readAfter before: UInt64, andBefore after: UInt64) {
        if let last = stretches.last, Self.differ(last.offset, offset) {
            stretches[stretches.count - 1].end = after
            // It was set at any time since the last look.
            stretches.append(Stretch(start: lastLook, end: nil, offset: offset))
            forgetOldest()
        }
        lastLook = before
    }

    /// The earliest stamp that a change after an instant can carry.
    ///
    /// - Parameter time: By the clock of events, in nanoseconds.
    /// - Returns: Nanoseconds since 1970; nil for an instant before the first reading.
    package func earliestStamp(after time: UInt64) -> Int64? {
        guard let first = stretches.first, time >= first.start else { return nil }
        var earliest = Int64.max
        for stretch in stretches where stretch.end ?? .max >= time {
            guard let instant = Int64(exactly: max(time, stretch.start)) else { return nil }
            let (stamp, overflows) = instant.addingReportingOverflow(stretch.offset)
            guard !overflows else { return nil }
            earliest = min(earliest, stamp)
        }
        return earliest
    }

    private static func differ(_ one: Int64, _ other: Int64) -> Bool {
        let (difference, overflows) = one.subtractingReportingOverflow(other)
        return overflows || difference.magnitude >= tolerance
    }

    /// Makes one of the two oldest, of which it says no more than is true of both.
    private mutating func forgetOldest() {
        guard stretches.count > Self.most else { return }
        let second = stretches.remove(at: 1)
        stretches[0] = Stretch(
            start: min(stretches[0].start, second.start), end: second.end,
            offset: min(stretches[0].offset, second.offset))
    }
}
