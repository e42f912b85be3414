/// How long a credential was to live, and how long it does; both in whole seconds.
package struct GrantedLifetime: Hashable, Sendable {
    package let asked: Int64
    /// Rounded up, so that the fraction cut off where a credential ends on a whole second does not look like a limit.
    package let granted: Int64

    package init(asked: Int64, granted: Int64) { (self.asked, self.granted) = (asked, granted) }

    package init(_ decision: LifetimeDecision) {
        self.init(asked: Self.roundedUp(decision.asked), granted: Self.roundedUp(decision.granted))
    }

    private static func roundedUp(_ duration: Duration) -> Int64 {
        let (seconds, rest) = duration.components
        return rest > 0 && seconds < .max ? seconds + 1 : seconds
    }
}
