internal import LinuxKernel

/// What the kernel writes about a process, some of it in words of the process's own choice.
///
/// Every parser reads every input; what each says is held against the same rules written a second time, more slowly.
enum ProcTarget {
    static func judge(_ input: [UInt8], flaw: Flaw?) {
        let read = (flaw?.text(input) ?? input)[...]
        status(input, ProcessStatus(parsing: read))
        stat(input, ProcessStat(parsing: read))
        maps(input, ExecutableMapping.parse(maps: read, limit: 64))
        cgroup(input, CgroupMembership(parsing: read))
        vector(input, AuxiliaryVector(parsing: read))
        claim(ProcNumbers.session(read).map { $0 <= UInt32.max } ?? true, "a session is a number")
        if let pid = ProcNumbers.pid(fdinfo: read) { claim(pid > 0, "a process has a positive number") }
        if let inode = ProcNumbers.namespace("mnt", link: read) {
            claim(
                text(input) == "mnt:[\(inode)]" || input.contains(UInt8(ascii: "0")), "a namespace is read as written")
        }
        _ = ProcNumbers.mounts(mountinfo: read)
    }

    private static func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }

    private static func lines(_ input: [UInt8]) -> [ArraySlice<UInt8>] {
        var lines = input.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }

    private static func status(_ input: [UInt8], _ found: ProcessStatus) {
        /// The words of the one line with a name; nil when there is none, or more than one.
        func words(_ name: String) -> [ArraySlice<UInt8>]? {
            let own = lines(input).filter { $0.starts(with: "\(name):".utf8) }
            guard own.count == 1 else { return nil }
            return own[0].dropFirst(name.utf8.count + 1).split { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") }
        }
        func numbers(_ name: String) -> [UInt32]? {
            guard let words = words(name) else { return nil }
            let numbers = words.compactMap(number).compactMap { UInt32(exactly: $0) }
            return numbers.count == words.count ? numbers : nil
        }
        let users = numbers("Uid").flatMap { $0.count == 4 ? $0 : nil }
        claim(
            found.users.map { [$0.real, $0.effective, $0.saved, $0.fileSystem] } == users,
            "users are those of the one line")
        claim(found.supplementaryGroups == numbers("Groups"), "groups are those of the one line")
        let tracer = numbers("TracerPid").flatMap { $0.count == 1 ? Int32(exactly: $0[0]) : nil }
        claim(found.tracer == tracer, "the tracer is that of the one line")
    }

    private static func stat(_ input: [UInt8], _ found: ProcessStat?) {
        guard let found else { return }
        // Read from the end, a name can say nothing.
        guard let parenthesis = input.lastIndex(of: UInt8(ascii: ")")) else { broken("a name ends") }
        let words = input[(parenthesis + 1)...].split(separator: UInt8(ascii: " "))
        claim(words.count >= 21, "there are enough fields")
        claim(leading(words[1]) == UInt64(found.parent), "the parent is the second field after the name")
        claim(leading(words[19]) == found.startTicks, "the start is the twentieth field after the name")
    }

    private static func maps(_ input: [UInt8], _ found: [ExecutableMapping]?) {
        guard let found else { return }
        let executable = lines(input).filter { line in
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
            return words.count > 1 && words[1].count == 4 && words[1].dropFirst(2).first == UInt8(ascii: "x")
        }
        claim(found.count == executable.count, "every executable line is one mapping")
        var last: UInt64 = 0
        for (mapping, line) in zip(found, executable) {
            claim(mapping.start >= last && mapping.end > mapping.start, "mappings are in order and not empty")
            last = mapping.end
            let name = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: true).last ?? []
            switch mapping.backing {
            case .vdso: claim(text(name) == "[vdso]", "only the vdso is the vdso")
            case .vsyscall: claim(text(name) == "[vsyscall]" && mapping.start > 1 << 63, "only vsyscall is vsyscall")
            case .anonymous: break
            case .file(_, let inode): claim(inode != 0, "a file has a number")
            }
        }
    }

    private static func cgroup(_ input: [UInt8], _ found: CgroupMembership?) {
        guard let found else { return }
        let count = (found.unified == nil ? 0 : 1) + (found.systemd == nil ? 0 : 1) + found.controllers.count
        claim(count == lines(input).count, "every line is one control group")
        for path in [found.unified, found.systemd].compactMap({ $0 }) + found.controllers.values {
            claim(path.utf8.first == UInt8(ascii: "/"), "a path is absolute")
            claim(!path.split(separator: "/").contains(".."), "a path stays below its root")
        }
    }

    private static func vector(_ input: [UInt8], _ found: AuxiliaryVector?) {
        guard let found else { return }
        var words: [UInt64] = []
        for start in stride(from: 0, to: input.count - 7, by: 8) {
            words.append(input[start..<(start + 8)].reversed().reduce(0) { $0 << 8 | UInt64($1) })
        }
        let pairs = stride(from: 0, to: words.count - 1, by: 2).map { (words[$0], words[$0 + 1]) }
        guard let end = pairs.firstIndex(where: { $0.0 == 0 }) else { broken("a vector ends") }
        claim(pairs[..<end].first { $0.0 == 9 }?.1 == found.entry, "the entry is that of its key")
        claim(pairs[..<end].count { $0.0 == 9 } <= 1, "no key counts twice")
    }

    /// A decimal number without sign.
    private static func number(_ word: ArraySlice<UInt8>) -> UInt64? {
        guard !word.isEmpty, word.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return UInt64(text(word))
    }

    private static func leading(_ word: ArraySlice<UInt8>) -> UInt64? {
        number(word.prefix { (48...57).contains($0) })
    }
}
