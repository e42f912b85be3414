package import Foundation

extension Date {
    /// Whole seconds since 1970, rounded down; at the ends of the range where the date is beyond them.
    package var unixSeconds: Int64 {
        let seconds = timeIntervalSince1970.rounded(.down)
        return Int64(exactly: seconds) ?? (seconds < 0 ? .min : .max)
    }
}
