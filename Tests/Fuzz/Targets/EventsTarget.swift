internal import LinuxKernel

/// What the kernel tells of processes: netlink datagrams, perf records, fanotify events, files of /proc.
enum EventsTarget {
    static func judge(_ input: [UInt8], flaw: Flaw?) {
        guard let reader = input.first else { return }
        let bytes = input.dropFirst()
        switch reader {
        case UInt8(ascii: "n"): judgeDatagram(bytes, flaw)
        case UInt8(ascii: "m"): judgeMappings(bytes, .mappings)
        case UInt8(ascii: "v"): judgeMappings(bytes, .moves)
        case UInt8(ascii: "f"): judgeFiles(bytes)
        case UInt8(ascii: "h"):
            let held = HeldExec.read(bytes)
            claim(held.count * 24 <= bytes.count, "each event takes its place")
            claim(
                held.allSatisfy { $0.descriptor >= 0 && $0.process ?? 1 > 0 }, "descriptors and processes are numbers")
        case UInt8(ascii: "s"):
            guard let member = ProcessList.Member(pid: 1, stat: Array(bytes)) else { return }
            claim(member.threads >= 0 && member.parent ?? 1 > 0, "counts and processes are numbers")
        case UInt8(ascii: "o"):
            let points = MountTable.localMountPoints(Array(bytes))
            claim(points.count <= bytes.count { $0 == UInt8(ascii: "\n") } + 1, "a line names one mount point")
        default: return
        }
    }

    private static func judgeDatagram(_ bytes: ArraySlice<UInt8>, _ flaw: Flaw?) {
        let read = flaw?.message(bytes) ?? bytes
        let event = try? ProcessEvent(datagram: read, length: read.count, sender: 0)
        claim(
            (try? ProcessEvent(datagram: bytes, length: bytes.count, sender: 1)) == nil, "only the kernel is believed")
        claim(
            (try? ProcessEvent(datagram: bytes, length: bytes.count + 1, sender: 0)) == nil, "nothing cut short is read"
        )
        guard let event else { return }
        claim(number(bytes, 4, 2) == 3 && number(bytes, 16, 4) == 1 && number(bytes, 20, 4) == 1, "it is an event")
        claim(number(bytes, 0, 4) ?? .max <= UInt64(bytes.count), "it is whole")
        claim(number(bytes, 24, 4) == UInt64(event.sequence), "its number is read where it stands")
        claim(number(bytes, 44, 8) == event.time, "its time is read where it stands")
        switch (number(bytes, 36, 4), event.kind) {
        case (2, .executed(let process)): claim(number(bytes, 56, 4) == UInt64(process), "the process is the group")
        case (1, .forked(_, let child)): claim(number(bytes, 64, 4) == UInt64(child), "the child is the group")
        case (1, .threadStarted), (4, .idsChanged), (0x40, .idsChanged), (0x100, .traced), (0x8000_0000, .ended): break
        case (0, .acknowledged), (_, .other): break
        default: broken("each kind is read as itself")
        }
    }

    private static func judgeMappings(_ bytes: ArraySlice<UInt8>, _ kind: RingGap.Kind) {
        var ring = RingRecords(kind, of: 1, since: 0)
        var once = 0
        let gaps = ring.read(bytes, wasFull: false, emptied: 1) { _ in once += 1 }
        claim(once * 24 <= bytes.count, "each record takes its place")
        claim(gaps.allSatisfy { $0.after <= $0.before }, "a gap ends after it begins")
        var again = RingRecords(kind, of: 1, since: 0)
        var twice = 0
        let gapsTwice = again.read((bytes + bytes)[...], wasFull: false, emptied: 1) { _ in twice += 1 }
        claim(
            !gaps.isEmpty || (gapsTwice.isEmpty && twice == 2 * once), "whole records are read one after the other")
        claim(
            ring.read([], wasFull: true, emptied: .max) { _ in }.count == 1, "of a full ring something may be missing")
    }

    private static func judgeFiles(_ bytes: ArraySlice<UInt8>) {
        let once = FileEvent.read(bytes)
        claim(once.events.count * 24 <= bytes.count, "each event takes its place")
        claim(
            once.events.allSatisfy { $0.process > 0 && $0.file.bytes.count <= 128 }, "processes and handles are bounded"
        )
        let twice = FileEvent.read((bytes + bytes)[...])
        claim(once.lost || (!twice.lost && twice.events == once.events + once.events), "whole events are read in order")
    }

    /// A number where it stands, read a second way.
    private static func number(_ bytes: ArraySlice<UInt8>, _ offset: Int, _ size: Int) -> UInt64? {
        guard bytes.count >= offset + size else { return nil }
        return bytes.dropFirst(offset).prefix(size).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
