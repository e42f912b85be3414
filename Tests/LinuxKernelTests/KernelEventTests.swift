import LinuxKernel
import Testing

/// Writes numbers as the kernel does.
struct KernelText {
    var bytes: [UInt8] = []

    func number<Value: FixedWidthInteger>(_ value: Value) -> Self {
        var next = self
        for index in 0..<(Value.bitWidth / 8) { next.bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
        return next
    }

    func bytes(_ more: [UInt8]) -> Self {
        var next = self
        next.bytes += more
        return next
    }

    /// A datagram of the proc connector.
    static func event(
        _ what: UInt32, _ data: [UInt32], index: UInt32 = 1, type: UInt16 = 3, payload: UInt16? = nil,
        total: UInt32? = nil
    ) -> [UInt8] {
        var event = KernelText().number(what).number(UInt32(1)).number(UInt64(77))
        for number in data { event = event.number(number) }
        let message = KernelText().number(index).number(UInt32(1)).number(UInt32(9)).number(UInt32(0))
            .number(payload ?? UInt16(event.bytes.count)).number(UInt16(0)).bytes(event.bytes)
        return KernelText().number(total ?? UInt32(16 + message.bytes.count)).number(type).number(UInt16(0))
            .number(UInt32(9)).number(UInt32(0)).bytes(message.bytes).bytes
    }

    /// A record of a perf ring: its body, then the process, thread and time that follow each.
    static func record(
        _ type: UInt32, misc: UInt16 = 0, _ body: [UInt8], size: UInt16? = nil, time: UInt64 = 88
    ) -> [UInt8] {
        KernelText().number(type).number(misc).number(size ?? UInt16(8 + body.count + 16)).bytes(body)
            .number(UInt32(5)).number(UInt32(5)).number(time).bytes
    }

    static func mapping(inode: UInt64) -> [UInt8] {
        KernelText().number(UInt32(5)).number(UInt32(5)).number(UInt64(0)).number(UInt64(0)).number(UInt64(0))
            .number(UInt32(8)).number(UInt32(1)).number(inode).number(UInt64(3)).number(UInt32(5)).number(UInt32(0))
            .bytes(Array("/bin/true".utf8) + [0, 0, 0, 0, 0, 0, 0]).bytes
    }

    /// An event of a fanotify group that reports handles.
    static func file(
        mask: UInt64 = 0x1000, process: Int32 = 5, version: UInt8 = 3, length: UInt32? = nil, head: UInt16 = 24,
        records: [UInt8] = handle()
    ) -> [UInt8] {
        KernelText().number(length ?? UInt32(24 + records.count)).number(version).number(UInt8(0)).number(head)
            .number(mask).number(Int32(-1)).number(process).bytes(records).bytes
    }

    static func handle(kind: UInt8 = 1, length: UInt16? = nil, count: UInt32 = 8) -> [UInt8] {
        KernelText().number(kind).number(UInt8(0)).number(length ?? 28).number(UInt64(42)).number(count)
            .number(UInt32(1)).bytes([1, 2, 3, 4, 5, 6, 7, 8]).bytes
    }
}

@Suite("Events of the proc connector")
struct ProcessEventTests {
    @Test(
        "Each kind is read",
        arguments: [
            (1, [10, 11, 12, 12], .forked(parent: 11, child: 12)),
            (1, [10, 11, 13, 12], .threadStarted(process: 12)),
            (1, [0, 0, 12, 12], .forked(parent: 0, child: 12)),
            (2, [13, 12], .executed(process: 12)),
            (4, [13, 12, 0, 0], .idsChanged(process: 12)),
            (0x40, [13, 12, 0, 0], .idsChanged(process: 12)),
            (0x100, [13, 12, 20, 21], .traced(process: 12, tracer: 21)),
            (0x100, [13, 12, 0, 0], .traced(process: 12, tracer: nil)),
            (0x8000_0000, [13, 12, 0, 0, 1, 1], .ended(process: 12, thread: 13)),
            (0, [1], .acknowledged(error: 1)),
            (0x200, [13, 12, 0, 0, 0, 0], .other),
        ] as [(UInt32, [UInt32], ProcessEvent.Kind)])
    func reads(what: UInt32, data: [UInt32], kind: ProcessEvent.Kind) throws {
        let bytes = KernelText.event(what, data)
        let event = try ProcessEvent(datagram: bytes[...], length: bytes.count, sender: 0)
        #expect(event == ProcessEvent(processor: 1, sequence: 9, time: 77, kind: kind))
    }

    @Test("Nobody but the kernel is believed", arguments: [1, 4711, UInt32.max] as [UInt32])
    func foreignSender(port: UInt32) {
        let bytes = KernelText.event(2, [12, 12])
        #expect(throws: ProcessEvent.Flaw.foreignSender(port: port)) {
            try ProcessEvent(datagram: bytes[...], length: bytes.count, sender: port)
        }
    }

    @Test("What was cut short, or is of another kind or length, is refused")
    func malformed() {
        let whole = KernelText.event(2, [12, 12])
        for count in 0..<whole.count {
            #expect(throws: ProcessEvent.Flaw.self) {
                try ProcessEvent(datagram: whole[..<count], length: count, sender: 0)
            }
            #expect(throws: ProcessEvent.Flaw.truncated) {
                try ProcessEvent(datagram: whole[..<count], length: whole.count, sender: 0)
            }
        }
        for bytes in [
            KernelText.event(2, [12, 12], index: 2), KernelText.event(2, [12, 12], type: 2),
            KernelText.event(2, [12, 12], payload: .max), KernelText.event(2, [12, 12], total: .max),
            KernelText.event(2, [12, 12], total: 3), KernelText.event(2, [12, 0]),
            KernelText.event(2, [12, 0xFFFF_FFFF]), KernelText.event(1, [1, 2, 3]),
            KernelText.event(0x8000_0000, [0, 12]), KernelText.event(0, []),
        ] {
            #expect(throws: ProcessEvent.Flaw.self) {
                try ProcessEvent(datagram: bytes[...], length: bytes.count, sender: 0)
            }
        }
    }
}

@Suite("Records of executable mappings")
struct MappingEventTests {
    private static let exec = KernelText.record(
        3, misc: 1 << 13, KernelText().number(UInt32(5)).number(UInt32(5)).bytes([0x61, 0, 0, 0, 0, 0, 0, 0]).bytes)

    @Test("An exec and what it maps are read in order; names that changed otherwise are not")
    func reads() {
        let name = KernelText.record(
            3, KernelText().number(UInt32(5)).number(UInt32(5)).bytes([0x61, 0, 0, 0, 0, 0, 0, 0]).bytes)
        let (events, gaps) = read(name + Self.exec + KernelText.record(10, KernelText.mapping(inode: 99)))
        let file = MappedFile(deviceMajor: 8, deviceMinor: 1, inode: 99, generation: 3)
        #expect(
            events == [
                MappingEvent(time: 88, process: 5, kind: .becameAnother),
                MappingEvent(time: 88, process: 5, kind: .mapped(file)),
            ])
        #expect(gaps.isEmpty)
    }

    @Test(
        "The kernel's word that records are missing is heard: they are older than the next, and than the last reading",
        arguments: [2, 13] as [UInt32])
    func lost(type: UInt32) {
        let word = KernelText.record(type, KernelText().number(UInt64(1)).number(UInt64(7)).bytes, time: 89)
        let later = KernelText.record(10, KernelText.mapping(inode: 99), time: 90)
        var records = RingRecords(.mappings, of: 3, since: 10)
        var events: [MappingEvent] = []
        #expect(
            records.read((Self.exec + word + later)[...], wasFull: false, emptied: 100) { events.append($0) }
                == [RingGap(kind: .mappings, processor: 3, after: 88, before: 90)])
        #expect(events.map(\.processor) == [3, 3])
        let last = KernelText.record(10, KernelText.mapping(inode: 99), time: 150)
        #expect(
            records.read((word + last)[...], wasFull: false, emptied: 200) { _ in }
                == [RingGap(kind: .mappings, processor: 3, after: 90, before: 100)])
        #expect(
            records.read(word[...], wasFull: false, emptied: 300) { _ in }
                == [RingGap(kind: .mappings, processor: 3, after: 150, before: 300)])
    }

    @Test("Of a ring that was full when it was read, what came after its last record may be missing, until then")
    func full() {
        var records = RingRecords(.mappings, of: 3, since: 10)
        #expect(
            records.read(Self.exec[...], wasFull: true, emptied: 100) { _ in }
                == [RingGap(kind: .mappings, processor: 3, after: 88, before: 100)])
        #expect(records.read(Self.exec[...], wasFull: false, emptied: 200) { _ in }.isEmpty)
    }

    @Test("Moves are read, and missing as long as the kernel holds them back")
    func moves() {
        var records = RingRecords(.moves, of: 2, since: 10)
        var events: [MappingEvent] = []
        #expect(
            records.read(KernelText.record(9, [])[...], wasFull: false, emptied: 100) { events.append($0) }.isEmpty)
        #expect(events == [MappingEvent(time: 88, process: 5, processor: 2, kind: .moved)])
        let body = KernelText().number(UInt64(1)).number(UInt64(1)).number(UInt64(1)).bytes
        let (held, free) = (KernelText.record(5, body, time: 150), KernelText.record(6, body, time: 350))
        #expect(
            records.read(held[...], wasFull: false, emptied: 200) { _ in }
                == [RingGap(kind: .moves, processor: 2, after: 88, before: 200)])
        #expect(
            records.read([], wasFull: false, emptied: 300) { _ in }
                == [RingGap(kind: .moves, processor: 2, after: 88, before: 300)])
        #expect(
            records.read(free[...], wasFull: false, emptied: 400) { _ in }
                == [RingGap(kind: .moves, processor: 2, after: 88, before: 350)])
        #expect(records.read([], wasFull: false, emptied: 500) { _ in }.isEmpty)
    }

    @Test("What cannot be read counts as missing, and nothing is read past it")
    func malformed() {
        for bytes in [
            KernelText.record(10, KernelText.mapping(inode: 1), size: 0),
            KernelText.record(10, KernelText.mapping(inode: 1), size: 7),
            KernelText.record(10, KernelText.mapping(inode: 1), size: .max),
            KernelText.record(10, [1, 2, 3]), KernelText.record(3, misc: 1 << 13, [], size: 16),
            KernelText.record(10, misc: 1 << 14, KernelText.mapping(inode: 1)), [1], [0, 0, 0, 0, 0, 0, 8],
        ] {
            let (events, gaps) = read(bytes)
            #expect(gaps == [RingGap(kind: .mappings, processor: 0, after: 10, before: 100)])
            #expect(events.isEmpty)
        }
    }

    private func read(_ bytes: [UInt8]) -> ([MappingEvent], [RingGap]) {
        var events: [MappingEvent] = []
        var records = RingRecords(.mappings, of: 0, since: 10)
        let gaps = records.read(bytes[...], wasFull: false, emptied: 100) { events.append($0) }
        return (events, gaps)
    }
}

@Suite("Events of fanotify")
struct FileEventTests {
    @Test("Files that are executed or closed are read with their handles")
    func reads() {
        let batch = FileEvent.read((KernelText.file() + KernelText.file(mask: 0x10))[...])
        let handle = KernelFileHandle(fileSystem: 42, type: 1, bytes: [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(!batch.lost)
        #expect(
            batch.events == [
                FileEvent(process: 5, file: handle, isExecuted: true, isClosed: false),
                FileEvent(process: 5, file: handle, isExecuted: false, isClosed: true),
            ])
    }

    @Test("A full queue is noticed, and what follows is read")
    func overflow() {
        let batch = FileEvent.read((KernelText.file(mask: 0x4000, records: []) + KernelText.file())[...])
        #expect(batch.lost)
        #expect(batch.events.count == 1)
    }

    @Test("A process without a number here is passed over")
    func nobody() {
        let batch = FileEvent.read((KernelText.file(process: 0) + KernelText.file())[...])
        #expect(!batch.lost)
        #expect(batch.events.count == 1)
    }

    @Test("What cannot be read counts as lost")
    func malformed() {
        for bytes in [
            KernelText.file(version: 2), KernelText.file(length: 23), KernelText.file(length: .max),
            KernelText.file(head: 23), KernelText.file(head: .max), KernelText.file(records: []),
            KernelText.file(records: KernelText.handle(kind: 4)),
            KernelText.file(records: KernelText.handle(length: 3)),
            KernelText.file(records: KernelText.handle(length: .max)),
            KernelText.file(records: KernelText.handle(count: .max)),
            KernelText.file(records: KernelText.handle(count: 9)), [1, 2, 3],
        ] {
            let batch = FileEvent.read(bytes[...])
            #expect(batch.lost)
            #expect(batch.events.isEmpty)
        }
    }

    @Test("Held execs are read up to the first thing that is none")
    func held() {
        func event(_ descriptor: Int32, mask: UInt64 = 0x40000, version: UInt8 = 3, length: UInt32 = 24) -> [UInt8] {
            KernelText().number(length).number(version).number(UInt8(0)).number(UInt16(24)).number(mask)
                .number(descriptor).number(Int32(7)).bytes
        }
        #expect(
            HeldExec.read((event(3) + event(4)).appending(zeros: 100)).map(\.descriptor) == [3, 4])
        #expect(HeldExec.read(event(3).appending(zeros: 0)).first?.process == 7)
        for bytes in [event(-1), event(3, mask: 0x20), event(3, version: 2), event(3, length: 25), event(3, length: 0)]
        {
            #expect(HeldExec.read(bytes[...]).isEmpty)
        }
    }
}

extension [UInt8] {
    fileprivate func appending(zeros count: Int) -> ArraySlice<UInt8> {
        (self + [UInt8](repeating: 0, count: count))[...]
    }
}

@Suite("Lists of processes and mounts")
struct ProcessListTests {
    @Test("A name with parentheses and blanks in it changes nothing")
    func stat() {
        let text = "12 (a) b) S 3 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 4 0 99"
        #expect(
            ProcessList.Member(pid: 12, stat: Array(text.utf8)) == ProcessList.Member(pid: 12, parent: 3, threads: 4))
    }

    @Test(
        "What is not a stat file is not read",
        arguments: [
            "", "12 (a", "12 (a) S 3", "12 (a) S x 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 4 0",
            "12 (a) S 3 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 -4 0",
        ])
    func noStat(text: String) {
        #expect(ProcessList.Member(pid: 12, stat: Array(text.utf8)) == nil)
    }

    @Test("Local file systems are found once each, with their escapes undone")
    func mounts() {
        let text = """
            22 1 254:0 / / rw - ext4 /dev/vda rw
            23 22 254:0 /srv /other rw - ext4 /dev/vda rw
            24 22 0:5 / /proc rw - proc proc rw
            25 22 7:0 / /mnt/a\\040b rw shared:1 master:2 - xfs /dev/loop0 rw
            26 22 7:1 / /mnt/\\9 rw - xfs /dev/loop1 rw
            27 22 7:2 / /short -
            28 x
            """
        #expect(MountTable.localMountPoints(Array(text.utf8)) == ["/", "/mnt/a b"])
    }
}
