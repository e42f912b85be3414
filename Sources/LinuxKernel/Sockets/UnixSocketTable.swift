/// The named Unix sockets of a network namespace, from `/proc/net/unix`.
package struct UnixSocketTable: Hashable, Sendable {
    /// One line.
    package struct Row: Hashable, Sendable {
        package let inode: UInt64
        /// Where it was bound, as the binder wrote it; relative names and names in other mount namespaces are possible.
        package let path: String
        package let isListening: Bool
    }

    /// The kernel's flag of a listening socket.
    private static let accepts: UInt64 = 1 << 16

    /// The most rows kept.
    package static let limit = 262_144

    package let rows: [Row]

    /// Reads the text of a table; lines that are not understood, and nameless sockets, are left out.
    ///
    /// - Parameter text: The file.
    package init(_ text: String) {
        var rows: [Row] = []
        for line in text.split(separator: "\n").dropFirst() {
            // The path comes last and may hold spaces.
            let words = line.split(separator: " ", maxSplits: 7, omittingEmptySubsequences: true)
            guard rows.count < Self.limit, words.count == 8, let flags = UInt64(words[3], radix: 16),
                let inode = UInt64(words[6])
            else { continue }
            rows.append(
                Row(inode: inode, path: String(words[7]), isListening: flags & Self.accepts != 0))
        }
        self.rows = rows
    }
}
