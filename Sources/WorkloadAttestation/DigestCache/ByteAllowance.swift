/// How many bytes are read for one user: so many at once, and so many each second after that.
package struct ByteAllowance: Hashable, Sendable {
    /// What one user has had read.
    package struct Account: Hashable, Sendable {
        fileprivate var owed: Double = 0
        fileprivate var since: Double = 0

        package init() {}
    }

    private let burst: Double
    private let bytesPerSecond: Double

    /// Creates an allowance.
    ///
    /// - Parameters:
    ///   - burst: Bytes that a user who was silent may have read at once; a single file is never refused for its size.
    ///   - bytesPerSecond: How fast what was read is forgotten.
    package init(burst: Int64 = 4 << 30, bytesPerSecond: Int64 = 64 << 20) {
        (self.burst, self.bytesPerSecond) = (Double(max(1, burst)), Double(max(1, bytesPerSecond)))
    }

    /// Charges for a file, if the user has anything left.
    ///
    /// - Parameters:
    ///   - size: Of the file, in bytes.
    ///   - account: The user's.
    ///   - now: Wall time in seconds; a step backwards forgets nothing.
    /// - Returns: Whether it may be read.
    package func spend(_ size: Int64, from account: inout Account, now: Double) -> Bool {
        account.owed = max(0, account.owed - max(0, now - account.since) * bytesPerSecond)
        account.since = now
        guard account.owed < burst else { return false }
        account.owed += Double(max(0, size))
        return true
    }

    /// Whether an account is as good as a new one.
    func isSettled(_ account: Account, now: Double) -> Bool { account.owed <= (now - account.since) * bytesPerSecond }
}
