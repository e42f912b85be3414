package import Foundation

/// The machine's calendar clock, for values whose user did not bring another.
package enum MachineClock {
    package static let now: @Sendable () -> Date = { Date() }

    /// Waits for an instant, but a minute at most: a calendar clock may be set, and a sleeping machine's timers do not run.
    static let sleep: @Sendable (Date) async throws -> Void = { deadline in
        try await Task.sleep(for: .seconds(min(max(0, deadline.timeIntervalSince(now())), 60)))
    }
}

/// The machine's generator; here it only spreads retries.
struct MachineEntropy: RandomNumberGenerator, Sendable {
    func next() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
