/// Where unpredictable bytes come from.
///
/// A value is cheap to copy; every copy draws from the same source.
package protocol Entropy: RandomNumberGenerator, Sendable {}

/// The operating system's generator.
package struct SystemEntropy: Entropy {
    private var generator = SystemRandomNumberGenerator()

    package init() {}

    package mutating func next() -> UInt64 { generator.next() }
}

extension RandomNumberGenerator {
    /// Draws bytes.
    ///
    /// - Parameter count: How many.
    /// - Returns: `count` bytes; no more than 7 drawn bytes are thrown away.
    package mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) } }
        return Array(bytes.prefix(count))
    }
}
