/// Small files and links below `/proc/PID` that hold one number.
package enum ProcNumbers {
    /// A namespace's inode from its link, such as `mnt:[4026531841]`; nil for anything else.
    package static func namespace(_ kind: String, link bytes: ArraySlice<UInt8>) -> UInt64? {
        let lead = "\(kind):[".utf8
        guard bytes.starts(with: lead) else { return nil }
        var scanner = ByteScanner(bytes.dropFirst(lead.count))
        guard let inode = scanner.decimal(), scanner.take(UInt8(ascii: "]")), scanner.isAtEnd else { return nil }
        return inode
    }

    /// `loginuid` or `sessionid`: one decimal number of 32 bits; the largest stands for none.
    package static func session(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        var scanner = ByteScanner(bytes)
        guard let number = scanner.decimal() else { return nil }
        scanner.skip(.newline)
        return scanner.isAtEnd ? UInt32(exactly: number) : nil
    }

    /// The `Pid:` line of a pidfd's `/proc/PID/fdinfo/N`: nil when it is missing, doubled, or the process is gone.
    package static func pid(fdinfo bytes: ArraySlice<UInt8>) -> Int32? {
        var scanner = ByteScanner(bytes)
        var found: Int32?
        while !scanner.isAtEnd {
            let line = scanner.through(.newline)
            guard line.starts(with: "Pid:\t".utf8) else { continue }
            var value = ByteScanner(line.dropFirst(5))
            guard found == nil, let pid = value.decimal().flatMap({ Int32(exactly: $0) }), value.isAtEnd, pid > 0 else {
                return nil
            }
            found = pid
        }
        return found
    }

    /// The ids of all mounts in `/proc/PID/mountinfo`; nil when a line is malformed.
    package static func mounts(mountinfo bytes: ArraySlice<UInt8>) -> Set<UInt64>? {
        var scanner = ByteScanner(bytes)
        var found: Set<UInt64> = []
        while !scanner.isAtEnd {
            guard let id = scanner.decimal(), scanner.take(.space) else { return nil }
            found.insert(id)
            _ = scanner.through(.newline)
        }
        return found
    }
}
