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
        intake.mappings = exec(100, at: 30, Self.agent)
        intake.mappingsLost = true
        intake.events = [event(40, .executed(process: 100))]
        _ = ledger.take(intake)
        guard case .untold = ledger.processes[100]?.image else {
            Issue.record("\(String(describing: ledger.processes[100]?.image))")
            return
        }
        #expect(ledger.counts.untold == 2)
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

    private func exec(_ pid: Int32, at time: UInt64, _ file: MappedFile) -> [MappingEvent] {
        [MappingEvent(time: time, process: pid, kind: .becameAnother), mapped(pid, at: time + 1, file)]
    }

    private func mapped(_ pid: Int32, at time: UInt64, _ file: MappedFile) -> MappingEvent {
        MappingEvent(time: time, process: pid, kind: .mapped(file))
    }
}
