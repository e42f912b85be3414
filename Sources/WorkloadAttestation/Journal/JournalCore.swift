internal import Glibc
internal import LinuxKernel

/// The journal's queues and what was read from them; guarded by the journal's lock.
// Its readers of queues are not safe to share; it lives behind one lock and is never handed out of it.
struct JournalCore: @unchecked Sendable {
    /// What has been found out about a process beyond its events.
    private struct Known {
        let serial: UInt64
        var instance: ProcessInstance
        var parent: Fact<ProcessInstance>
        var image: (generation: UInt64, fact: Fact<ExecutedImage>)
    }

    struct Found: Sendable {
        var instance: ProcessInstance
        var parent: Fact<ProcessInstance>
        var image: Fact<ExecutedImage>
        var isLinkForged: Bool
    }

    enum Look {
        case settled(Fact<ExecRecord>)
        case unresolved(ExecLedger.Process)
    }

    /// A process as it was when its scripts were held.
    struct ScriptChain: Sendable {
        var generation: UInt64
        var scripts: [HeldScript]
    }

    private typealias Notify = @Sendable (ProcessChange) -> Void

    private(set) var ledger: ExecLedger
    private(set) var isOpen = true
    var holds = ScriptHolds<HeldScript>()
    private(set) var chains: [Int32: ScriptChain] = [:]
    private(set) var status = JournalStatus()
    private var events: ProcessEventSocket?
    private var mappings: MappingRings?
    private(set) var files: FileEventGroup?
    private let fileSystems: ExecJournalConfiguration.FileSystems
    private var known: [Int32: Known] = [:]
    private var watches: [Int32: [UInt64: Notify]] = [:]
    private var nextWatch: UInt64 = 0
    private var digests: [FileIdentity: String] = [:]
    /// Digests that were taken before anyone noted that they were being taken.
    private var early: [Int32: (serial: UInt64, generation: UInt64, state: ExecutedFile.DigestState)] = [:]
    private var marked: Set<String> = []
    private var mounts: [UInt8] = []
    private var lastUpkeep: UInt64 = 0
    private var mustLookForEnded = false

    init(_ configuration: ExecJournalConfiguration) throws(JournalUnavailable) {
        ledger = ExecLedger(capacity: configuration.capacity)
        fileSystems = configuration.fileSystems
        do {
            events = try ProcessEventSocket()
            let rings = try MappingRings()
            mappings = rings
            status.processors = rings.processors
            files = try FileEventGroup()
        } catch { throw JournalUnavailable("\(error)") }
        markFileSystems()
    }

    /// Readable when something has happened.
    var pollDescriptors: [Int32] { [events?.pollDescriptor, files?.pollDescriptor].compactMap { $0 } }
    /// Readable when a queue fills up.
    var fullDescriptors: [Int32] { mappings?.pollDescriptors ?? [] }
    var hasLeases: Bool { !chains.isEmpty }
    var hasWatches: Bool { !watches.isEmpty }

    mutating func close() {
        isOpen = false
        (events, mappings, files) = (nil, nil, nil)
        (known, watches, chains, holds) = ([:], [:], [:], ScriptHolds())
        status.unavailable = "the exec journal was stopped"
    }

    // MARK: Events

    /// Takes in what waits on the kernel's queues.
    ///
    /// - Returns: Calls that are due, to be made without the lock.
    mutating func drain() -> [@Sendable () -> Void] {
        guard let events, let mappings, let files else { return [] }
        // In this order: each exec that the first queue reports as done has left its traces in the other two.
        let batch = events.drain()
        let mapped = mappings.take()
        let opened = files.drain()
        var due: [@Sendable () -> Void] = []
        checkLeases(&due)
        if batch.events.isEmpty, !batch.overran, mapped.events.isEmpty, opened.events.isEmpty,
            mapped.gaps.isEmpty, opened.lostAfter == nil
        {
            return due
        }
        var intake = ExecLedger.Intake()
        (intake.events, intake.eventsLost) = (batch.events, batch.overran)
        (intake.mappings, intake.mappingGaps) = (mapped.events, mapped.gaps)
        (intake.files, intake.filesLostAfter) = (opened.events, opened.lostAfter)
        intake.readAt = EventClock.monotonic
        if opened.lostAfter != nil { holds.lose() }
        for event in opened.events { holds.take(event) }
        let before = ledger.epoch
        for change in ledger.take(intake) { note(change, &due) }
        if ledger.epoch != before {
            holds.lose()
            mustLookForEnded = true
        }
        return due
    }

    private mutating func note(_ change: ExecLedger.Change, _ due: inout [@Sendable () -> Void]) {
        switch change.kind {
        case .executed:
            let scripts = holds.executed(change.process)
            chains[change.process]?.scripts.forEach { $0.release() }
            chains[change.process] = nil
            if !scripts.isEmpty, let generation = ledger.processes[change.process]?.generation {
                chains[change.process] = ScriptChain(generation: generation, scripts: scripts)
            }
        case .exited:
            holds.ended(change.process)
            chains.removeValue(forKey: change.process)?.scripts.forEach { $0.release() }
            known[change.process] = nil
            early[change.process] = nil
        case .traced, .idsChanged, .scriptWritten, .eventsLost: break
        }
        guard let watchers = watches[change.process]?.values, !watchers.isEmpty else { return }
        for notify in watchers { due.append { notify(change.kind) } }
        if change.kind == .exited { watches[change.process] = nil }
    }

    /// Lets writers of scripts have their way, and notes that they did.
    private mutating func checkLeases(_ due: inout [@Sendable () -> Void]) {
        for (process, chain) in chains where chain.scripts.contains(where: { !$0.stands }) {
            for script in chain.scripts where !script.stands { script.release() }
            guard let serial = ledger.processes[process]?.serial,
                ledger.processes[process]?.taints.contains(.scriptWritten) == false
            else { continue }
            ledger.noteScriptWritten(process)
            note(ExecLedger.Change(process: process, serial: serial, kind: .scriptWritten), &due)
        }
    }

    /// Has the closing of a script reported, in the stead of others that are not held now.
    ///
    /// - Returns: Whether it is.
    func watchClosing(of script: ExecutedScript, _ handle: KernelFileHandle, _ marked: inout MarkedScripts) -> Bool {
        guard let files else { return false }
        if marked.contains(handle) { return marked.use(handle) { _ in true } != nil }
        guard let dropped = marked.use(handle, unless: holds.isHeld) else { return false }
        // One that is no more has lost its mark with its inode.
        for handle in dropped { files.stopWatchingClosing(of: handle) }
        do { try files.watchClosing(of: script) } catch {
            marked.remove(handle)
            return false
        }
        return true
    }

    /// Notes that a process opens a file to execute it, where the kernel does not report that.
    mutating func noteOpened(_ handle: KernelFileHandle, by process: Int32) {
        ledger.noteOpened(handle, by: process, at: EventClock.monotonic)
    }

    /// Where a file can be opened by its handle, without the lock.
    func mount(of handle: KernelFileHandle) -> MountDirectory? { files?.mount(of: handle) }

    // MARK: Records

    /// What is known of an instance by now.
    func look(at pid: Int32, as instance: ProcessInstance) -> Look {
        guard isOpen else { return .settled(.unknown(Gap("the exec journal was stopped"))) }
        guard let process = ledger.processes[pid] else {
            return .settled(.unknown(Gap("the exec journal has not heard of it")))
        }
        guard process.epoch == ledger.epoch else {
            return .settled(.unknown(Gap("events that may concern it were lost; it is known again once it executes")))
        }
        guard let known = known[pid], known.serial == process.serial, known.image.generation == process.generation
        else { return .unresolved(process) }
        guard known.instance == instance else { return .settled(.unknown(Gap("its number means another process"))) }
        return .settled(
            .known(
                ExecRecord(
                    generation: process.generation, image: known.image.fact, parent: known.parent,
                    taints: process.taints), .journal))
    }

    /// Keeps what was found, if it is about what the process still is.
    ///
    /// - Returns: The record; nil when the process has become another in the meantime.
    mutating func note(
        _ found: Found, of process: ExecLedger.Process, pid: Int32, as instance: ProcessInstance
    ) -> Fact<ExecRecord>? {
        guard let now = ledger.processes[pid], now.serial == process.serial, now.generation == process.generation,
            now.epoch == process.epoch, isOpen
        else {
            // Gone, stopped or doubtful is an answer; another program is not.
            if case .settled(let record) = look(at: pid, as: instance), record.value == nil { return record }
            return nil
        }
        if found.isLinkForged { ledger.noteLinkForged(pid) }
        var parent = found.parent
        if case .known = parent {
            // Looked up by number: only if the number still means who forked it.
            let named = process.parent.flatMap { ledger.processes[$0.process]?.serial == $0.serial ? $0 : nil }
            if named == nil { parent = .unknown(Gap("the process that forked it has ended")) }
        }
        // While it is being measured, only the measuring itself brings news.
        let old = known[pid]
        if let old, old.serial == now.serial, case .known = old.parent { parent = old.parent }
        known[pid] = Known(
            serial: now.serial, instance: found.instance, parent: parent,
            image: (generation: now.generation, fact: found.image))
        count(found.image)
        if let early = early.removeValue(forKey: pid), early.serial == now.serial, early.generation == now.generation {
            note(early.state, of: now, pid: pid)
        }
        if case .settled(let record) = look(at: pid, as: instance) { return record }
        return nil
    }

    /// Puts the digest where it was being measured.
    mutating func note(_ state: ExecutedFile.DigestState, of process: ExecLedger.Process, pid: Int32) {
        guard let now = ledger.processes[pid], now.serial == process.serial, now.generation == process.generation,
            now.epoch == process.epoch
        else { return }
        guard let known = known[pid], known.serial == now.serial, known.image.generation == now.generation,
            case .known(var image, let provenance) = known.image.fact
        else {
            early[pid] = (now.serial, now.generation, state)
            return
        }
        image.program.digest = state
        self.known[pid]?.image.fact = .known(image, provenance)
        count(.known(image, provenance))
        if case .measured(let digest) = state {
            if digests.count >= 4096 { digests = [:] }
            digests[image.program.identity] = digest
        }
    }

    /// A digest of the same file in the same state, taken while it was executed.
    func digest(of identity: FileIdentity) -> String? { digests[identity] }

    private mutating func count(_ image: Fact<ExecutedImage>) {
        let word: String
        switch image {
        case .unknown(let gap): word = gap.description
        case .known(let image, _):
            switch image.program.digest {
            case .measured: word = "measured"
            case .pending: word = "pending"
            case .unmeasured(let gap): word = gap.description
            }
        }
        // Reasons are few, but some name a number.
        if status.judged.count < 64 || status.judged[word] != nil { status.judged[word, default: 0] += 1 }
    }

    // MARK: Watches

    mutating func addWatch(_ pid: Int32, _ notify: @escaping @Sendable (ProcessChange) -> Void) -> UInt64? {
        guard ledger.processes[pid] != nil else { return nil }
        nextWatch += 1
        watches[pid, default: [:]][nextWatch] = notify
        return nextWatch
    }

    mutating func endWatch(_ number: UInt64, of pid: Int32) {
        watches[pid]?[number] = nil
        if watches[pid]?.isEmpty ?? false { watches[pid] = nil }
    }

    // MARK: Upkeep

    /// Adds every process that runs and is not known yet.
    mutating func addOlderProcesses() {
        for process in ProcessList.all() {
            ledger.addOlder(process.pid, parent: process.parent, threads: process.threads)
        }
        status.processes = ledger.processes.count
    }

    /// What need not happen at once.
    mutating func keepUp() {
        let now = EventClock.monotonic
        guard isOpen, now &- lastUpkeep > 1_000_000_000 else { return }
        lastUpkeep = now
        markFileSystems()
        guard mustLookForEnded else { return }
        mustLookForEnded = false
        for pid in ledger.processes.keys where kill(pid, 0) != 0 && errno == ESRCH {
            ledger.forget(pid)
            known[pid] = nil
            chains.removeValue(forKey: pid)?.scripts.forEach { $0.release() }
        }
        addOlderProcesses()
    }

    private mutating func markFileSystems() {
        guard let files else { return }
        let wanted: [String]
        var isMountOnly = false
        switch fileSystems {
        case .mounts(let paths): (wanted, isMountOnly) = (paths, true)
        case .local:
            let now = MountTable.bytes()
            guard now != mounts else { return }
            mounts = now
            wanted = MountTable.localMountPoints(now)
        }
        for path in wanted where !marked.contains(path) {
            marked.insert(path)
            do {
                try files.markFileSystem(of: path, isMountOnly: isMountOnly)
                status.fileSystems.append(path)
            } catch { status.unmarked[path] = "\(error)" }
        }
    }

    var snapshot: JournalStatus {
        var status = status
        status.processes = ledger.processes.count
        status.counts = ledger.counts
        status.leases = chains.values.reduce(0) { $0 + $1.scripts.count }
        return status
    }
}
