/// The TCP sockets of a network namespace, from `/proc/net/tcp` and `tcp6`.
package struct TCPSocketTable: Hashable, Sendable {
    /// One line.
    package struct Row: Hashable, Sendable {
        package let localPort: UInt16
        package let remotePort: UInt16
        package let isListening: Bool
        package let inode: UInt64
    }

    /// The kernel's TCP_LISTEN.
    private static let listening = "0A"

    /// The most rows kept.
    package static let limit = 262_144

    package let rows: [Row]

    /// Reads the text of a table; lines that are not understood are left out.
    ///
    /// - Parameter text: The file.
    package init(_ text: String) {
        var rows: [Row] = []
        for line in text.split(separator: "\n").dropFirst() {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard rows.count < Self.limit, words.count > 9, let local = Self.port(words[1]),
                let remote = Self.port(words[2]), let inode = UInt64(words[9]), inode > 0
            else { continue }
            rows.append(
                Row(localPort: local, remotePort: remote, isListening: words[3] == Self.listening, inode: inode))
        }
        self.rows = rows
    }

    /// The port of `ADDRESS:PORT`, both in hexadecimal.
    private static func port(_ word: Substring) -> UInt16? {
        let parts = word.split(separator: ":")
        guard parts.count == 2 else { return nil }
        return UInt16(parts[1], radix: 16)
    }
}
