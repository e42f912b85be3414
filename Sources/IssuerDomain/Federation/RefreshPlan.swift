package import Foundation
internal import Platform
package import SPIFFE

/// When to fetch the bundle of another trust domain again (FED-32, FED-33).
package enum RefreshPlan {
    /// Without a hint.
    package static let defaultInterval = Duration.seconds(300)
    /// What a hint may ask for: neither a flood of requests nor never again.
    package static let intervals = Duration.seconds(30)...Duration.seconds(24 * 3600)
    /// As long as there is no bundle, nobody of that domain is known.
    package static let intervalWithoutBundle = Duration.seconds(60)

    /// How long a bundle is good for.
    ///
    /// - Parameter bundle: What is held; nil when there is nothing yet.
    /// - Returns: The interval until the next attempt, without jitter.
    package static func interval(for bundle: TrustBundle?) -> Duration {
        guard let bundle else { return intervalWithoutBundle }
        guard let hint = bundle.refreshHint, hint > 0 else { return defaultInterval }
        let asked = Duration.seconds(Int64(exactly: hint) ?? .max)
        return min(max(asked, intervals.lowerBound), intervals.upperBound)
    }

    /// The next attempt, up to a tenth of the interval early, so that many issuers do not come at once.
    ///
    /// A failed one waits like any other.
    package static func next(
        after attempt: Date, holding bundle: TrustBundle?, using entropy: inout some RandomNumberGenerator
    ) -> Date {
        attempt + interval(for: bundle).timeInterval * Double.random(in: 0.9...1, using: &entropy)
    }
}
