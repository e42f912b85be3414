internal import Platform

/// Which of the servers of a trust domain this is.
///
/// Drawn once, and kept with the server's private keys: servers that share a database must not share it.
package struct ServerID: Hashable, Sendable, CustomStringConvertible {
    /// A UUID, lower case.
    package let description: String

    /// Reads an ID back; nil when the text is no UUID in lower case.
    ///
    /// - Parameter text: 36 characters.
    package init?(_ text: String) {
        let groups = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard groups.map(\.count) == [8, 4, 4, 4, 12], groups.joined().allSatisfy(Self.isDigit) else { return nil }
        description = text
    }

    /// Draws a new ID.
    package init(using entropy: inout some RandomNumberGenerator) { description = RandomID.draw(using: &entropy) }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
