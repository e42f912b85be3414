import LinuxKernel
import Testing
import WorkloadAttestation

@Suite("The ledger of execs")
struct ExecLedgerTests {
    private static let agent = MappedFile(deviceMajor: 8, deviceMinor: 0, inode: 1, generation: 1)
    private static let loader = MappedFile(deviceMajor: 8, deviceMinor: 0, inode: 2, generation: 1)
    private static let other = MappedFile(deviceMajor: 8, deviceMinor: 0, inode: 3, generation: 1)

    @Test("The first file that is mapped after the point of no return is what was executed")
    func first() {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        intake.mappings = exec(100, at: 10, Self.agent) + [mapped(100, at: 12, Self.loader)]
        intake.events = [event(20, .executed(process: 100))]
        let changes = ledger.take(intake)
        #expect(ledger.processes[100]?.image == .executed(Self.agent, at: 20))
        #expect(ledger.processes[100]?.generation == 1)
        #expect(changes.map(\.kind) == [.executed])
    }

    @Test("Two execs that are reported together keep their files apart")
    func two() {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        intake.mappings = exec(100, at: 10, Self.other) + exec(100, at: 30, Self.agent)
        intake.events = [event(20, .executed(process: 100)), event(40, .executed(process: 100))]
        _ = ledger.take(intake)
        #expect(ledger.processes[100]?.image == .executed(Self.agent, at: 40))
        #expect(ledger.processes[100]?.generation == 2)
    }

    @Test("An exec that is still under way is not taken for the one before")
    func underWay() {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        intake.mappings = exec(100, at: 10, Self.other) + exec(100, at: 30, Self.agent)
        intake.events = [event(20, .executed(process: 100))]
        _ = ledger.take(intake)
        #expect(ledger.processes[100]?.image == .executed(Self.other, at: 20))
        var next = ExecLedger.Intake()
        next.events = [event(40, .executed(process: 100))]
        _ = ledger.take(next)
        #expect(ledger.processes[100]?.image == .executed(Self.agent, at: 40))
    }

    @Test("An exec whose mappings were lost or never came is told to be unknown")
    func untold() {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        intake.events = [event(20, .executed(process: 100))]
        _ = ledger.take(intake)
        guard case .untold = ledger.processes[100]?.image else {
            Issue.record("\(String(describing: ledger.processes[100]?.image))")
            return
        }
        #expect(ledger.counts.untold == 1)
    }

    @Test("A mapping that the program made by itself is not what was executed, when the one before it is missing")
    func ownMapping() {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        intake.mappings = [
            MappingEvent(time: 10, process: 100, kind: .becameAnother), mapped(100, at: 30, Self.agent),
        ]
        intake.events = [event(20, .executed(process: 100))]
        _ = ledger.take(intake)
        #expect(isUntold(ledger))
    }

    @Test(
        "Mappings that were lost on a processor put those execs in doubt that were there between their mark and their mapping, and no others",
        arguments: MappingLosses.all)
    func losses(_ losses: MappingLosses) {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        intake.mappings =
            [MappingEvent(time: 10, process: 100, kind: .becameAnother)]
            + losses.moves.map { MappingEvent(time: $0.0, process: 100, processor: $0.1, kind: .moved) }
            + [MappingEvent(time: 20, process: 100, kind: .mapped(Self.agent))]
        intake.mappingGaps = losses.gaps
        _ = ledger.take(intake)
        // The exec is reported as done with a later reading, as it may be.
        var next = ExecLedger.Intake()
        next.events = [event(25, .executed(process: 100))]
        _ = ledger.take(next)
        #expect(isUntold(ledger) == !losses.isTold)
        if losses.isTold { #expect(ledger.processes[100]?.image == .executed(Self.agent, at: 25)) }
    }

    @Test("However many losses there were, an exec that is as old as those forgotten is not told")
    func manyLosses() {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        intake.mappings = exec(100, at: 10, Self.agent)
        intake.mappingGaps = (1...5000).map { MappingLosses.gap(0, UInt64($0) * 10 + 100, UInt64($0) * 10 + 105) }
        intake.events = [event(20, .executed(process: 100))]
        _ = ledger.take(intake)
        #expect(isUntold(ledger))
        var next = ExecLedger.Intake()
        next.mappings = exec(100, at: 60_000, Self.agent)
        next.events = [event(60_010, .executed(process: 100))]
        _ = ledger.take(next)
        #expect(ledger.processes[100]?.image == .executed(Self.agent, at: 60_010))
    }

    @Test("Files whose opening was lost put only those execs in doubt whose process can have opened them")
    func lostFiles() {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        (intake.filesLostAfter, intake.readAt) = (30, 40)
        intake.events = [
            event(20, .executed(process: 100)), event(25, .forked(parent: 100, child: 101)),
            event(35, .executed(process: 101)),
        ]
        _ = ledger.take(intake)
        #expect(ledger.processes[100]?.openedIsPartial == false)
        #expect(ledger.processes[101]?.openedIsPartial == true)
        var next = ExecLedger.Intake()
        next.events = [
            event(50, .forked(parent: 100, child: 102)), event(55, .executed(process: 102)),
            event(60, .executed(process: 100)), event(37, .executed(process: 101)),
        ]
        _ = ledger.take(next)
        #expect(ledger.processes[102]?.openedIsPartial == false)
        // Its script may have been opened in the meantime.
        #expect(ledger.processes[100]?.openedIsPartial == true)
        #expect(ledger.processes[101]?.openedIsPartial == true)
        var last = ExecLedger.Intake()
        last.events = [event(70, .executed(process: 100))]
        _ = ledger.take(last)
        #expect(ledger.processes[100]?.openedIsPartial == false)
    }

    @Test("A gap in the numbers of a processor's events makes everything doubtful that has not executed since")
    func gap() {
        var ledger = born(100)
        let epoch = ledger.epoch
        var intake = ExecLedger.Intake()
        intake.events = [
            ProcessEvent(processor: 3, sequence: .max, time: 1, kind: .other),
            ProcessEvent(processor: 3, sequence: 0, time: 2, kind: .other),
        ]
        #expect(ledger.take(intake).isEmpty)
        #expect(ledger.epoch == epoch)
        intake.events = [ProcessEvent(processor: 3, sequence: 2, time: 3, kind: .other)]
        #expect(ledger.take(intake).map(\.kind) == [.eventsLost])
        #expect(ledger.epoch == epoch + 1)
        #expect(ledger.processes[100]?.epoch == epoch)
    }

    @Test("When another thread executes, the first one's end is not the end of the process")
    func threads() {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        intake.events = [
            event(5, .threadStarted(process: 100)), event(6, .ended(process: 100, thread: 100)),
            event(20, .executed(process: 100)),
        ]
        intake.mappings = exec(100, at: 10, Self.agent)
        #expect(ledger.take(intake).map(\.kind) == [.executed])
        #expect(ledger.processes[100]?.generation == 1)
        var end = ExecLedger.Intake()
        end.events = [event(30, .ended(process: 100, thread: 100))]
        #expect(ledger.take(end).map(\.kind) == [.exited])
        #expect(ledger.processes[100] == nil)
    }

    @Test("A number that is used again is another process")
    func reuse() {
        var ledger = born(100)
        let serial = ledger.processes[100]?.serial
        var intake = ExecLedger.Intake()
        intake.events = [
            event(5, .ended(process: 100, thread: 100)), event(6, .forked(parent: 1, child: 100)),
        ]
        _ = ledger.take(intake)
        #expect(ledger.processes[100]?.serial != serial)
        #expect(ledger.processes[100]?.generation == 0)
        #expect(ledger.processes[100]?.image == .inherited(nil))
    }

    @Test("Taints go with the next exec, except that of a tracer who stays")
    func taints() {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        intake.events = [
            event(5, .forked(parent: 1, child: 7)), event(6, .traced(process: 100, tracer: 7)),
            event(7, .idsChanged(process: 100)),
        ]
        #expect(ledger.take(intake).map(\.kind) == [.traced, .idsChanged])
        #expect(ledger.processes[100]?.taints == [.traced, .idsChanged])
        intake.events = [event(8, .executed(process: 100))]
        _ = ledger.take(intake)
        #expect(ledger.processes[100]?.taints == [.traced])
        intake.events = [event(9, .traced(process: 100, tracer: nil)), event(10, .executed(process: 100))]
        _ = ledger.take(intake)
        #expect(ledger.processes[100]?.taints == [])
    }

    @Test("Beyond its capacity it records nothing more, and counts what it left out")
    func capacity() {
        var ledger = ExecLedger(capacity: 2)
        var intake = ExecLedger.Intake()
        intake.events = (10..<15).map { event(1, .forked(parent: 1, child: $0)) }
        _ = ledger.take(intake)
        #expect(ledger.processes.count == 2)
        #expect(ledger.counts.refused == 3)
    }

    @Test("An exec of a process that was left out begins above every generation before")
    func floor() {
        var ledger = born(100)
        var intake = ExecLedger.Intake()
        intake.events = [event(1, .executed(process: 100)), event(2, .executed(process: 100))]
        _ = ledger.take(intake)
        ledger.forget(100)
        intake.events = [event(3, .executed(process: 100))]
        _ = ledger.take(intake)
        #expect(ledger.processes[100]?.generation == 3)
    }

    @Test("A script is proven only if its interpreter was opened before it was closed")
    func holds() {
        let script = KernelFileHandle(fileSystem: 1, type: 1, bytes: [1])
        let shell = KernelFileHandle(fileSystem: 1, type: 1, bytes: [2])
        func opened(_ file: KernelFileHandle) -> FileEvent {
            FileEvent(process: 5, file: file, isExecuted: true, isClosed: false)
        }
        let closed = FileEvent(process: 5, file: script, isExecuted: false, isClosed: true)
        for (events, proven) in [([opened(shell), closed], true), ([closed, opened(shell)], false), ([], false)] {
            var holds = ScriptHolds<String>()
            holds.hold("script", script, by: 5)
            for event in events { holds.take(event) }
            #expect(holds.executed(5) == (proven ? ["script"] : []))
            #expect(holds.executed(5).isEmpty)
        }
    }

    // MARK: Tools

    private func born(_ pid: Int32) -> ExecLedger {
        var ledger = ExecLedger(capacity: 100)
        var intake = ExecLedger.Intake()
        intake.events = [event(1, .forked(parent: 1, child: pid))]
        _ = ledger.take(intake)
        return ledger
    }

    /// Numbered as if each came from a processor of its own, so that no gap is seen.
    private func event(_ time: UInt64, _ kind: ProcessEvent.Kind) -> ProcessEvent {
        ProcessEvent(processor: UInt32.random(in: 1000..<UInt32.max), sequence: 0, time: time, kind: kind)
    }

    private func isUntold(_ ledger: ExecLedger) -> Bool {
        if case .untold = ledger.processes[100]?.image { true } else { false }
    }

    private func exec(_ pid: Int32, at time: UInt64, _ file: MappedFile) -> [MappingEvent] {
        [MappingEvent(time: time, process: pid, kind: .becameAnother), mapped(pid, at: time + 1, file)]
    }

    private func mapped(_ pid: Int32, at time: UInt64, _ file: MappedFile) -> MappingEvent {
        MappingEvent(time: time, process: pid, kind: .mapped(file))
    }
}

/// What was lost, and where the process was moved in between.
struct MappingLosses: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let gaps: [RingGap]
    let moves: [(UInt64, Int)]
    let isTold: Bool

    init(_ name: String, _ gaps: [RingGap], moves: [(UInt64, Int)] = [], isTold: Bool) {
        (testDescription, self.gaps, self.moves, self.isTold) = (name, gaps, moves, isTold)
    }

    static func gap(
        _ processor: Int, _ after: UInt64, _ before: UInt64, _ kind: RingGap.Kind = .mappings
    ) -> RingGap { RingGap(kind: kind, processor: processor, after: after, before: before) }

    static let all: [Self] = [
        // The exec is marked at 10 on processor 0, and its first mapping is told at 20.
        Self("before", [gap(0, 1, 10)], isTold: true), Self("after", [gap(0, 20, 30)], isTold: true),
        Self("within", [gap(0, 12, 13)], isTold: false), Self("from before on", [gap(0, 1, 11)], isTold: false),
        Self("until later", [gap(0, 19, 50)], isTold: false),
        Self("elsewhere", [gap(1, 1, 50)], isTold: true),
        Self("there, before it came", [gap(1, 1, 15)], moves: [(15, 1)], isTold: true),
        Self("there, after it came", [gap(1, 15, 16)], moves: [(15, 1)], isTold: false),
        Self("there, after it left", [gap(1, 17, 50)], moves: [(15, 1), (17, 0)], isTold: true),
        Self("there and back", [gap(1, 1, 50)], moves: [(15, 1), (16, 0)], isTold: false),
        Self("where it was before", [gap(0, 15, 50)], moves: [(15, 1)], isTold: true),
        Self("elsewhere, but not every move is known", [gap(1, 1, 50), gap(3, 12, 13, .moves)], isTold: false),
        Self("none, but not every move is known", [gap(3, 12, 13, .moves)], isTold: true),
        Self("elsewhere, when the moves were known", [gap(1, 1, 50), gap(3, 1, 10, .moves)], isTold: true),
    ]
}
