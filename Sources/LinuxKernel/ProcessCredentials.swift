/// The ids under which a process acts: effective ones, as file access is judged by them.
package struct ProcessCredentials: Hashable, Sendable {
    package let uid: UInt32
    package let gid: UInt32
    package let supplementaryGroups: [UInt32]

    package init(uid: UInt32, gid: UInt32, supplementaryGroups: [UInt32]) {
        (self.uid, self.gid, self.supplementaryGroups) = (uid, gid, supplementaryGroups)
    }

    /// Reads the `Uid`, `Gid` and `Groups` lines of `/proc/PID/status`; nil when one is missing, doubled or malformed.
    ///
    /// The name on the first line is the process's own choice, but the kernel escapes newlines in it, and each of the
    /// three lines must occur exactly once.
    ///
    /// - Parameter status: The file's text.
    package init?(status: String) {
        var uid: UInt32?
        var gid: UInt32?
        var groups: [UInt32]?
        for line in status.split(separator: "\n") {
            if line.hasPrefix("Uid:") {
                guard uid == nil, let ids = Self.numbers(in: line), ids.count == 4 else { return nil }
                uid = ids[1]
            } else if line.hasPrefix("Gid:") {
                guard gid == nil, let ids = Self.numbers(in: line), ids.count == 4 else { return nil }
                gid = ids[1]
            } else if line.hasPrefix("Groups:") {
                guard groups == nil, let ids = Self.numbers(in: line) else { return nil }
                groups = ids
            }
        }
        guard let uid, let gid, let groups else { return nil }
        self.init(uid: uid, gid: gid, supplementaryGroups: groups)
    }

    private static func numbers(in line: Substring) -> [UInt32]? {
        guard let colon = line.firstIndex(of: ":") else { return nil }
        var numbers: [UInt32] = []
        for word in line[colon...].dropFirst().split(whereSeparator: { $0 == "\t" || $0 == " " }) {
            guard let number = UInt32(word) else { return nil }
            numbers.append(number)
        }
        return numbers
    }
}
