package import Foundation

/// When to replace an SVID. The jitter is drawn once, on arrival, so polling cannot re-roll it.
package struct RenewalPlan: Hashable, Sendable {
    package let due: Date

    /// Plans for around half of the lifetime.
    ///
    /// - Parameters:
    ///   - validity: From when to when the SVID is good.
    ///   - entropy: For the jitter, up to a twentieth of the lifetime either way.
    package init(validity: Range<Date>, using entropy: inout some RandomNumberGenerator) {
        let lifetime = validity.upperBound.timeIntervalSince(validity.lowerBound)
        due = validity.lowerBound + lifetime * Double.random(in: 0.45..<0.55, using: &entropy)
    }
}
