/// How long to wait before the next attempt: doubling from a first pause up to a longest, each drawn between half and
/// all of itself, so that many clients of one agent do not come back at the same instant.
package struct Backoff: Hashable, Sendable {
    /// The first pause.
    package let initial: Duration

    /// The longest pause.
    package let maximum: Duration

    /// What lasted this long did not fail; what ended sooner did, whatever it brought.
    package let steady: Duration

    private var attempts = 0

    /// Creates a backoff at its beginning.
    package init(
        initial: Duration = .milliseconds(200), maximum: Duration = .seconds(10), steady: Duration = .seconds(1)
    ) {
        (self.initial, self.maximum, self.steady) = (initial, maximum, steady)
    }

    /// The pause before the next attempt.
    package mutating func next(using entropy: inout some RandomNumberGenerator) -> Duration {
        let pause = min(maximum, initial * (1 << min(attempts, 20)))
        attempts += 1
        return pause * Double.random(in: 0.5...1, using: &entropy)
    }

    /// The longest pause, for what is unlikely to get better soon.
    package func slowest(using entropy: inout some RandomNumberGenerator) -> Duration {
        maximum * Double.random(in: 0.5...1, using: &entropy)
    }

    /// Starts from the first pause again.
    package mutating func reset() { attempts = 0 }
}
