package import LinuxKernel

/// What each process executed, worked out from events; knows nothing of where they come from.
///
/// Processes are kept by number: the proc connector tells of every birth and death in order, so a number means one
/// process from one `forked` to the `ended` of its last thread. Binding a number to an instance is left to whoever has
/// the process pinned.
package struct ExecLedger: Sendable {
    /// One process from its birth to its end.
    package struct Process: Hashable, Sendable {
        /// Tells apart the processes that had the same number one after the other.
        package var serial: UInt64
        package var generation: UInt64 = 0
        package var image: Image
        package var parent: Parent?
        package var taints: Set<ExecRecord.Taint> = []
        /// Grows when events are lost; what is older may be wrong.
        package var epoch: UInt64
        /// What the process or its threads opened to execute it since the exec before, the program among it.
        package var opened: [KernelFileHandle] = []
        /// Whether more was opened than is kept, or some of it was not seen.
        package var openedIsPartial = false
        /// When it was forked, or executed something last, whichever is later; 0 where that was not seen.
        fileprivate var since: UInt64 = 0
        fileprivate var tracer: Int32?
        fileprivate var otherThreads = 0
        fileprivate var firstThreadEnded = false
    }

    package enum Image: Hashable, Sendable {
        /// It ran before the journal did.
        case older
        /// It has not executed anything since it was forked; with what the process had executed that its birth names,
        /// which is not always the one that forked it (CLONE_PARENT).
        case inherited(MappedFile?)
        /// It executed the file that the kernel mapped first, at an instant of CLOCK_MONOTONIC.
        case executed(MappedFile, at: UInt64)
        /// It executed something, but what cannot be told.
        case untold(String)
    }

    /// Who forked a process: a number, and the serial that it stood for then.
    package struct Parent: Hashable, Sendable {
        package var process: Int32
        package var serial: UInt64
    }

    /// Something that happened to a process.
    package struct Change: Hashable, Sendable {
        package var process: Int32
        package var serial: UInt64
        package var kind: ProcessChange
    }

    /// Everything that waited on the kernel's queues at one moment, read in this order: events, mappings, files.
    package struct Intake: Sendable {
        package var events: [ProcessEvent] = []
        package var eventsLost = false
        package var mappings: [MappingEvent] = []
        /// When some of them, on which processor, may be missing.
        package var mappingGaps: [RingGap] = []
        package var files: [FileEvent] = []
        /// Whether some of them are missing, which were opened after the instant.
        package var filesLostAfter: UInt64?
        /// When the files had been read, by CLOCK_MONOTONIC.
        package var readAt: UInt64 = 0

        package init() {}
    }

    package struct Counts: Hashable, Sendable {
        package var forks: UInt64 = 0
        package var execs: UInt64 = 0
        package var exits: UInt64 = 0
        /// Times that something was lost, by queue.
        package var eventLosses: UInt64 = 0
        package var mappingLosses: UInt64 = 0
        package var fileLosses: UInt64 = 0
        /// Execs of which the program could not be told.
        package var untold: UInt64 = 0
        /// Processes that were not recorded because there were too many.
        package var refused: UInt64 = 0
    }

    /// An exec that is under way: past the point of no return, not yet reported as done.
    private struct Becoming {
        /// Where the process ran from an instant on.
        struct Place {
            var processor: Int
            var since: UInt64
        }

        var time: UInt64
        /// From the point of no return to the first mapping.
        var places: [Place]
        var first: (file: MappedFile, time: UInt64)?
    }

    private struct Opened {
        var file: KernelFileHandle
        var readAt: UInt64
    }

    private static let mostOpened = 16
    private static let mostPlaces = 64

    package private(set) var processes: [Int32: Process] = [:]
    package private(set) var counts = Counts()
    package private(set) var epoch: UInt64 = 0
    private let capacity: Int
    private var nextSerial: UInt64 = 1
    private var highestGeneration: UInt64 = 0
    private var becoming: [Int32: [Becoming]] = [:]
    private var opened: [Int32: [Opened]] = [:]
    private var openedTooMuch: Set<Int32> = []
    private var sequences: [UInt32: UInt32] = [:]
    private var mappingGaps = RingGapLog()
    private var fileGaps = GapLog()

    /// - Parameter capacity: The most processes recorded at once; others are unknown.
    package init(capacity: Int) { self.capacity = capacity }

    /// Notes a process that ran before the journal did, unless it is known.
    package mutating func addOlder(_ process: Int32, parent: Int32?, threads: Int) {
        guard processes[process] == nil, processes.count < capacity else { return }
        var older = Process(serial: serial(), image: .older, epoch: epoch)
        older.otherThreads = max(0, threads - 1)
        older.parent = parent.flatMap { number in
            processes[number].map { Parent(process: number, serial: $0.serial) }
        }
        processes[process] = older
    }

    /// Forgets a process that is known to be gone although its end was not seen.
    package mutating func forget(_ process: Int32) { remove(process) }

    /// Notes that someone has opened the script of a process for writing.
    package mutating func noteScriptWritten(_ process: Int32) { processes[process]?.taints.insert(.scriptWritten) }

    /// Notes that the exe link of a process leads to another file than it executed.
    package mutating func noteLinkForged(_ process: Int32) { processes[process]?.taints.insert(.linkForged) }

    /// What a process executed, as far as that is not in doubt.
    private func mapped(by process: Int32) -> MappedFile? {
        guard let known = processes[process], known.epoch == epoch else { return nil }
        switch known.image {
        case .executed(let file, _): return file
        case .inherited(let file): return file
        case .older, .untold: return nil
        }
    }

    /// Takes in what waited on the queues.
    ///
    /// - Returns: What happened, in order.
    package mutating func take(_ intake: Intake) -> [Change] {
        var changes: [Change] = []
        take(mappings: intake.mappings)
        take(files: intake.files, readAt: intake.readAt)
        for gap in intake.mappingGaps { mappingGaps.add(gap) }
        if !intake.mappingGaps.isEmpty { counts.mappingLosses += 1 }
        if let start = intake.filesLostAfter {
            fileGaps.add(after: start, before: intake.readAt)
            counts.fileLosses += 1
        }
        var eventsLost = intake.eventsLost
        for event in intake.events {
            // Each processor numbers its events; a gap is an event that the kernel had no memory for.
            if let last = sequences.updateValue(event.sequence, forKey: event.processor), event.sequence != last &+ 1 {
                eventsLost = true
            }
            take(event, &changes)
        }
        if eventsLost { loseEvents(&changes) }
        return changes
    }

    /// Takes everything that is known for doubtful until it is seen to happen again.
    private mutating func loseEvents(_ changes: inout [Change]) {
        counts.eventLosses += 1
        epoch += 1
        becoming = [:]
        opened = [:]
        openedTooMuch = []
        changes += processes.map { Change(process: $0.key, serial: $0.value.serial, kind: .eventsLost) }
    }

    private mutating func take(mappings: [MappingEvent]) {
        for event in mappings {
            switch event.kind {
            case .becameAnother:
                becoming[event.process, default: []].append(
                    Becoming(time: event.time, places: [.init(processor: event.processor, since: event.time)]))
            case .mapped(let file):
                // Only the first mapping of a new program says what it is.
                guard let last = becoming[event.process]?.indices.last,
                    becoming[event.process]?[last].first == nil
                else { continue }
                becoming[event.process]?[last].first = (file, event.time)
            case .moved:
                guard let last = becoming[event.process]?.indices.last,
                    let now = becoming[event.process]?[last], now.first == nil, now.places.count < Self.mostPlaces
                else { continue }
                becoming[event.process]?[last].places.append(.init(processor: event.processor, since: event.time))
            }
        }
    }

    private mutating func take(files: [FileEvent], readAt: UInt64) {
        for event in files where event.isExecuted { noteOpened(event.file, by: event.process, at: readAt) }
    }

    /// Notes that a process has opened a file to execute it, at the instant or before.
    package mutating func noteOpened(_ file: KernelFileHandle, by process: Int32, at readAt: UInt64) {
        if opened[process]?.count ?? 0 < Self.mostOpened {
            opened[process, default: []].append(Opened(file: file, readAt: readAt))
        } else {
            openedTooMuch.insert(process)
        }
    }

    private mutating func take(_ event: ProcessEvent, _ changes: inout [Change]) {
        switch event.kind {
        case .forked(let parent, let child):
            counts.forks += 1
            // One that had the number before must have ended, or its end was lost.
            if processes[child] == nil, processes.count >= capacity {
                counts.refused += 1
                return
            }
            var process = Process(serial: serial(), image: .inherited(mapped(by: parent)), epoch: epoch)
            process.since = event.time
            process.parent = processes[parent].flatMap {
                $0.epoch == epoch ? Parent(process: parent, serial: $0.serial) : nil
            }
            processes[child] = process
        case .threadStarted(let process): processes[process]?.otherThreads += 1
        case .executed(let process): execute(process, event.time, &changes)
        case .idsChanged(let process): taint(process, .idsChanged, .idsChanged, &changes)
        case .traced(let process, let tracer):
            processes[process]?.tracer = tracer
            taint(process, .traced, .traced, &changes)
        case .ended(let process, let thread):
            guard let known = processes[process] else {
                if process == thread { remove(process) }
                return
            }
            if thread == process {
                processes[process]?.firstThreadEnded = true
            } else {
                processes[process]?.otherThreads -= 1
            }
            // When a thread that is not the first executes a program, the first one ends, and the process goes on.
            guard let now = processes[process], now.firstThreadEnded, now.otherThreads <= 0 else { return }
            counts.exits += 1
            remove(process)
            changes.append(Change(process: process, serial: known.serial, kind: .exited))
        case .acknowledged, .other: break
        }
    }

    private mutating func execute(_ number: Int32, _ time: UInt64, _ changes: inout [Change]) {
        counts.execs += 1
        // A process that was not recorded begins above every generation anyone has seen.
        guard processes[number] != nil || processes.count < capacity else {
            counts.refused += 1
            return
        }
        var process =
            processes[number] ?? Process(serial: serial(), generation: highestGeneration, image: .older, epoch: epoch)
        let before: UInt64 = if case .executed(_, let time) = process.image { time } else { 0 }
        if process.epoch != epoch { (process.parent, process.tracer) = (nil, nil) }
        process.generation += 1
        process.epoch = epoch
        process.image = image(of: number, at: time)
        if case .untold = process.image { counts.untold += 1 }
        process.taints = process.tracer.map { processes[$0] != nil } ?? false ? [.traced] : []
        (process.otherThreads, process.firstThreadEnded) = (0, false)
        // What had been read before the last exec was done was not opened for this one.
        let candidates = opened[number] ?? []
        process.opened = candidates.filter { $0.readAt >= before }.map(\.file)
        let isTooMuch = openedTooMuch.remove(number) != nil
        process.openedIsPartial = isTooMuch || fileGaps.mayMiss(after: process.since, before: time)
        process.since = time
        opened[number] = candidates.contains { $0.readAt >= time } ? candidates.filter { $0.readAt >= time } : nil
        processes[number] = process
        highestGeneration = max(highestGeneration, process.generation)
        changes.append(Change(process: number, serial: process.serial, kind: .executed))
    }

    /// The file that an exec mapped first.
    private mutating func image(of number: Int32, at time: UInt64) -> Image {
        let all = becoming[number] ?? []
        let done = all.filter { $0.time < time }
        becoming[number] = done.count < all.count ? all.filter { $0.time >= time } : nil
        // A mapping that is later than the exec was made by the program itself: the one before it is missing.
        guard done.count == 1, let exec = done.first, let first = exec.first, first.time < time else {
            return .untold("the kernel did not report what was mapped when it was executed")
        }
        guard !mayMissMapping(exec, before: first.time) else {
            return .untold("what was mapped when it was executed may have been lost")
        }
        return .executed(first.file, at: time)
    }

    /// Whether another mapping may have come before the one that was told: some were lost where the process ran.
    private func mayMissMapping(_ exec: Becoming, before end: UInt64) -> Bool {
        // Where it ran is known only if all its moves are.
        guard exec.places.count < Self.mostPlaces, !mappingGaps.mayMissAnywhere(.moves, after: exec.time, before: end)
        else { return mappingGaps.mayMissAnywhere(.mappings, after: exec.time, before: end) }
        var until = end
        for place in exec.places.reversed() {
            if mappingGaps.mayMiss(.mappings, on: place.processor, after: place.since, before: until) { return true }
            until = place.since
        }
        return false
    }

    private mutating func taint(
        _ process: Int32, _ taint: ExecRecord.Taint, _ change: ProcessChange, _ changes: inout [Change]
    ) {
        guard let serial = processes[process]?.serial else { return }
        processes[process]?.taints.insert(taint)
        changes.append(Change(process: process, serial: serial, kind: change))
    }

    private mutating func remove(_ process: Int32) {
        processes[process] = nil
        becoming[process] = nil
        opened[process] = nil
        openedTooMuch.remove(process)
    }

    private mutating func serial() -> UInt64 {
        defer { nextSerial += 1 }
        return nextSerial
    }
}
