package import Foundation

/// When to replace an SVID.
///
/// The jitter is drawn once, on arrival, so polling cannot re-roll it.
package struct RenewalPlan: Hashable, Sendable {
    package private(set) var due: Date

    /// Plans for around half of what is left on arrival; the start in the certificate is backdated, and says nothing.
    ///
    /// - Parameters:
    ///   - arrived: When the SVID came.
    ///   - end: When it ends.
    ///   - entropy: For the jitter, up to a twentieth of the lifetime either way.
    package init(arrived: Date, end: Date, using entropy: inout some RandomNumberGenerator) {
        // Never at once: an SVID that is nearly over on arrival, or clocks that disagree, must not make a spin.
        let share = Double.random(in: 0.45..<0.55, using: &entropy)
        due = arrived + max(1, end.timeIntervalSince(arrived) * share)
    }

    /// Brings the renewal forward, because what signed the SVID is tainted; never puts it off.
    ///
    /// - Parameters:
    ///   - now: The time.
    ///   - spread: The latest instant, counted from now, in seconds; the moment within is drawn, so that a fleet which
    ///     hears at once does not ask at once.
    ///   - entropy: For the moment.
    package mutating func hasten(
        now: Date, within spread: TimeInterval, using entropy: inout some RandomNumberGenerator
    ) {
        due = min(due, now + (spread > 0 ? .random(in: 0..<spread, using: &entropy) : 0))
    }
}
