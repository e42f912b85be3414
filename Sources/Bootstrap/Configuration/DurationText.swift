/// Durations as people write them: `500ms`, `90s`, `15m`, `24h`, `7d`.
package enum DurationText {
    private static let units: [(suffix: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    private static let limit: Int64 = 100 * 365 * 86_400_000

    /// Reads a duration; parts may be joined, as in `1h30m`.
    ///
    /// - Returns: nil when the text is not a positive duration of less than a hundred years.
    package static func parse(_ text: String) -> Duration? {
        var rest = Substring(text)
        var total: Int64 = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard (1...15).contains(digits.count), let number = Int64(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let suffix = rest.prefix { $0.isLetter }
            guard let unit = units.first(where: { $0.suffix == suffix }) else { return nil }
            rest = rest.dropFirst(suffix.count)
            let (product, overflow) = number.multipliedReportingOverflow(by: unit.milliseconds)
            // Each part is far below the largest number, so their sum cannot overflow.
            guard !overflow, product < limit, total + product < limit else { return nil }
            total += product
        }
        return total > 0 ? .milliseconds(total) : nil
    }
}
