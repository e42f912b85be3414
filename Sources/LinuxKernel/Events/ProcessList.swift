internal import Glibc

/// Processes that run now, as `/proc` lists them.
package enum ProcessList {
    package struct Member: Hashable, Sendable {
        package var pid: Int32
        package var parent: Int32?
        package var threads: Int

        package init(pid: Int32, parent: Int32?, threads: Int) {
            (self.pid, self.parent, self.threads) = (pid, parent, threads)
        }
    }

    /// Every process that is listed; those that come and go meanwhile may be missing.
    package static func all() -> [Member] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var members: [Member] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: entry.pointee.d_name) { start in
                start.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let pid = Int32(name), pid > 0, let member = member(pid) else { continue }
            members.append(member)
        }
        return members
    }

    /// One process, by number.
    package static func member(_ pid: Int32) -> Member? {
        contents(of: "/proc/\(pid)/stat").flatMap { Member(pid: pid, stat: $0) }
    }

    private static func contents(of path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(file, &buffer, buffer.count)
        return count > 0 ? Array(buffer[..<count]) : nil
    }
}

extension ProcessList.Member {
    /// Reads `/proc/PID/stat`; nil when it is not what proc(5) describes.
    ///
    /// The name in parentheses is the process's own choice and may hold anything; the last parenthesis ends it.
    package init?(pid: Int32, stat: [UInt8]) {
        guard let end = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let words = stat[(end + 1)...].split(separator: UInt8(ascii: " "))
        // state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice
        // num_threads
        guard words.count > 17, let parent = Int32(String(decoding: words[1], as: UTF8.self)),
            let threads = Int(String(decoding: words[17], as: UTF8.self)), threads >= 0, threads < 1 << 22
        else { return nil }
        self.init(pid: pid, parent: parent > 0 ? parent : nil, threads: threads)
    }
}

/// Whether a process is in this process's user namespace.
package enum UserNamespace {
    package static func isOwn(pid: Int32) -> Bool {
        guard let own = inode("/proc/self/ns/user"), let other = inode("/proc/\(pid)/ns/user") else { return false }
        return own == other
    }

    private static func inode(_ path: String) -> UInt64? {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }
}
