internal import Glibc

/// Waits for a TPM that somebody else is using.
package enum TPMTurn {
    /// How long somebody else may take: as long as a small TPM needs to look for a prime.
    package static let attempts = 150
    private static let pause: UInt32 = 200_000

    /// Tries a call of the system again, as long as it fails because somebody else is at it.
    ///
    /// - Parameters:
    ///   - code: The `errno` value that says so.
    ///   - attempts: How often it is tried.
    ///   - call: Returns a negative number when it fails.
    /// - Returns: What the last attempt returned; `errno` is as it left it.
    package static func waiting(for code: Int32, attempts: Int = attempts, _ call: () -> Int32) -> Int32 {
        var result = call()
        for _ in 1..<max(2, attempts) {
            guard result < 0, errno == code else { return result }
            usleep(pause)
            result = call()
        }
        return result
    }
}
