package import Foundation

extension Date {
    /// Whole milliseconds since 1970, rounded down; at the ends of the range where the date is beyond them.
    ///
    /// A date made of whole milliseconds gives them back, whatever binary fractions made of them.
    package var unixMilliseconds: Int64 {
        let milliseconds = (timeIntervalSince1970 * 1000 + 0.001).rounded(.down)
        return Int64(exactly: milliseconds) ?? (milliseconds < 0 ? .min : .max)
    }

    /// Creates a date from milliseconds since 1970.
    package init(unixMilliseconds: Int64) { self.init(timeIntervalSince1970: TimeInterval(unixMilliseconds) / 1000) }
}
