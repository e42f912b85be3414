/// Names of segments' files: the number in twenty digits, so that they sort.
enum SegmentName {
    private static let suffix = ".records"
    private static let digits = 20

    static func name(of number: UInt64) -> String {
        let text = "\(number)"
        return String(repeating: "0", count: digits - text.utf8.count) + text + suffix
    }

    /// - Returns: nil for the name of something else.
    static func number(in name: String) -> UInt64? {
        guard name.utf8.count == digits + suffix.utf8.count, name.hasSuffix(suffix),
            let number = UInt64(name.prefix(digits)), number < .max
        else { return nil }
        return number
    }
}
