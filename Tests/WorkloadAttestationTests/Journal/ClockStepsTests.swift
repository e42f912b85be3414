import Testing
import WorkloadAttestation

@Suite("The times of files, when the clock is set")
struct ClockStepsTests {
    private static let second: Int64 = 1_000_000_000
    /// The clock of events begins at this time of day.
    private static let offset = 1_700_000_000 * second

    @Test("While nobody sets the clock, a change after an instant is stamped with it or later")
    func untouched() {
        var steps = ClockSteps(offset: Self.offset, readAfter: 5)
        steps.note(offset: Self.offset + 900_000, readAfter: 100, andBefore: 101)
        steps.note(offset: Self.offset - 900_000, readAfter: 200, andBefore: 201)
        #expect(steps.earliestStamp(after: 50) == Self.offset + 50)
        #expect(steps.earliestStamp(after: 5000) == Self.offset + 5000)
        #expect(steps.earliestStamp(after: 4) == nil)
    }

    @Test("A clock that is set forward makes no later change look older")
    func forward() {
        var steps = ClockSteps(offset: Self.offset, readAfter: 5)
        steps.note(offset: Self.offset + 3600 * Self.second, readAfter: 1000, andBefore: 1001)
        #expect(steps.earliestStamp(after: 500) == Self.offset + 500)
        #expect(steps.earliestStamp(after: 2000) == Self.offset + 3600 * Self.second + 2000)
    }

    @Test("A clock that is set back makes later changes look older, from the last look before on")
    func back() {
        var steps = ClockSteps(offset: Self.offset, readAfter: 5)
        steps.note(offset: Self.offset, readAfter: 700, andBefore: 701)
        steps.note(offset: Self.offset - 3600 * Self.second, readAfter: 1000, andBefore: 1001)
        #expect(steps.earliestStamp(after: 500) == Self.offset - 3600 * Self.second + 700)
        // It may have been set before that, or not.
        #expect(steps.earliestStamp(after: 900) == Self.offset - 3600 * Self.second + 900)
        #expect(steps.earliestStamp(after: 2000) == Self.offset - 3600 * Self.second + 2000)
    }

    @Test("Whenever the clock is set, no change after an instant carries an earlier stamp than is said")
    func never() {
        var chance = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            // What is added to the clock of events, at each instant.
            var offsets: [Int64] = []
            var offset = Self.offset
            for _ in 0..<400 {
                if Int.random(in: 0..<10, using: &chance) == 0 {
                    offset += Int64.random(in: -300...300, using: &chance) * 10_000_000
                }
                offsets.append(offset)
            }
            var steps = ClockSteps(offset: offsets[0], readAfter: 0)
            var now = 0
            while now < 390 {
                // Looked at often enough that no setting is taken back unseen.
                now += 1
                steps.note(offset: offsets[now], readAfter: UInt64(now), andBefore: UInt64(now))
            }
            for time in stride(from: 1, to: now, by: 13) {
                guard let earliest = steps.earliestStamp(after: UInt64(time)) else {
                    Issue.record("nothing is said of \(time)")
                    continue
                }
                for change in time...now {
                    #expect(Int64(change) + offsets[change] >= earliest, "\(time), \(change)")
                }
            }
        }
    }
}
