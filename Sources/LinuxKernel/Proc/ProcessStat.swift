/// What attestation reads from `/proc/PID/stat`.
package struct ProcessStat: Hashable, Sendable {
    package let pid: Int32
    package let parent: Int32
    /// When it was forked, in clock ticks since boot.
    package let startTicks: UInt64

    /// Reads the one line (proc_pid_stat(5)).
    ///
    /// The name in the second field may hold anything, closing parentheses and newlines among it, so the fields after
    /// it are counted from the last parenthesis of the text.
    ///
    /// - Parameter bytes: The file, whole; nil comes of one that is not as expected.
    package init?(parsing bytes: ArraySlice<UInt8>) {
        guard let parenthesis = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        var head = ByteScanner(bytes)
        guard let pid = head.decimal().flatMap({ Int32(exactly: $0) }), head.take(.space),
            head.take(UInt8(ascii: "(")), head.position <= parenthesis
        else { return nil }
        var fields: [UInt64?] = []
        var scanner = ByteScanner(bytes[(parenthesis + 1)...])
        guard scanner.take(.space), let state = scanner.take(), (65...122).contains(state) else { return nil }
        while fields.count < 49, scanner.take(.space) {
            let isNegative = scanner.take(UInt8(ascii: "-"))
            guard let number = scanner.decimal() else { return nil }
            fields.append(isNegative ? nil : number)
        }
        // Field 4 is the parent, 22 the start, which is whole when another follows.
        guard fields.count >= 20, let parent = fields[0].flatMap({ Int32(exactly: $0) }), let start = fields[18] else {
            return nil
        }
        (self.pid, self.parent, startTicks) = (pid, parent, start)
    }
}
