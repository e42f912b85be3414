internal import Foundation

/// The machine's calendar clock, for values whose user did not bring another.
enum MachineClock {
    static let now: @Sendable () -> Date = { Date() }
}

/// The machine's generator; here it only spreads retries.
struct MachineEntropy: RandomNumberGenerator, Sendable {
    func next() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
