/// `grpc-timeout` as the header has it: digits and a unit, of which the library that reads it takes eight characters.
enum TimeoutText {
    private static let limit: Int64 = 10_000_000

    /// Writes a time-out.
    ///
    /// - Parameter timeout: Not negative; rounded up, and cut at what can be said.
    /// - Returns: At most seven digits and a unit.
    static func text(of timeout: Duration) -> String {
        let (seconds, attoseconds) = timeout.components
        if seconds < 10 {
            let microseconds = seconds * 1_000_000 + (attoseconds + 999_999_999_999) / 1_000_000_000_000
            return microseconds < limit ? "\(microseconds)u" : "10S"
        }
        let whole = seconds + (attoseconds > 0 ? 1 : 0)
        return whole < limit ? "\(whole)S" : "\(min((whole + 3599) / 3600, limit - 1))H"
    }
}
