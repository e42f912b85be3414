/// How much one caller may ask for.
package struct CallLimits: Hashable, Sendable {
    /// A bucket that fills at a rate and never holds more than a burst.
    package struct Rate: Hashable, Sendable {
        /// Units a second.
        package let perSecond: Double
        /// Units at once.
        package let burst: Double

        /// Creates a rate.
        ///
        /// - Returns: nil unless both are finite and positive.
        package init?(perSecond: Double, burst: Double) {
            guard perSecond.isFinite, burst.isFinite, perSecond > 0, burst > 0 else { return nil }
            (self.perSecond, self.burst) = (perSecond, burst)
        }
    }

    /// The rate of each budget; one that is missing is not limited.
    package var rates: [MethodRule.Budget: Rate]
    /// How many callers of one budget are told apart; those beyond share one bucket.
    package var trackedCallers: Int

    package init(rates: [MethodRule.Budget: Rate] = Self.defaultRates, trackedCallers: Int = 10_000) {
        (self.rates, self.trackedCallers) = (rates, trackedCallers)
    }

    /// What holds when nothing is configured.
    package static let defaultRates: [MethodRule.Budget: Rate] = [
        .attestation: Rate(perSecond: 10, burst: 100), .signing: Rate(perSecond: 500, burst: 2000),
        .reporting: Rate(perSecond: 10, burst: 100), .reading: Rate(perSecond: 50, burst: 1000),
        .querying: Rate(perSecond: 10, burst: 200),
    ].compactMapValues { $0 }
}
