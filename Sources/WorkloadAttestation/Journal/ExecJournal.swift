internal import Dispatch
internal import Foundation
internal import Glibc
package import LinuxKernel
internal import Platform
internal import Synchronization

/// The exec journal of this host.
///
/// See <doc:TheExecJournal> for what it proves, and how.
package final class ExecJournal: ExecHistory, Sendable {
    let core: Mutex<JournalCore>
    let hasher: ImageHasher
    let configuration: ExecJournalConfiguration
    private let clock = EventClockReadings()
    private let isStopped = Atomic(false)
    private let wake: JournalWake
    private let scripts = Mutex<ScriptGuard?>(nil)
    private let notices = DispatchQueue(label: "mintmark.exec-journal.notices", qos: .userInitiated)

    /// Starts the journal.
    ///
    /// - Parameter configuration: What it looks at.
    /// - Throws: ``JournalUnavailable``, when the kernel or the rights of this process do not allow it.
    package init(_ configuration: ExecJournalConfiguration) throws(JournalUnavailable) {
        self.configuration = configuration
        hasher = ImageHasher(sizeLimit: configuration.sizeLimit)
        let core: JournalCore
        do {
            guard ProcessHandle.pidfsInode(of: getpid()) != nil else {
                throw JournalUnavailable("the kernel's pidfds have no inodes of their own (Linux 6.9)")
            }
            core = try JournalCore(configuration)
            wake = try JournalWake()
        } catch let error as JournalUnavailable {
            throw error
        } catch {
            throw JournalUnavailable("\(error)")
        }
        self.core = Mutex(core)
        self.core.withLock { $0.addOlderProcesses() }
        if !configuration.guarded.isEmpty {
            guard let command = configuration.guardian else {
                throw JournalUnavailable("scripts are to be guarded, but there is no guardian")
            }
            do {
                let guarding = try ScriptGuard(configuration, command) { [weak self] in self }
                scripts.withLock { $0 = guarding }
            } catch { throw JournalUnavailable("\(error)") }
        }
        if configuration.runsInBackground {
            let thread = Thread { [weak self] in Self.run { self } }
            thread.name = "exec-journal"
            thread.start()
        }
    }

    deinit {
        scripts.withLock { $0?.stop() }
        wake.signal()
    }

    /// Stops; from now on nothing is known of any process.
    package func stop() {
        isStopped.store(true, ordering: .sequentiallyConsistent)
        scripts.withLock { $0?.stop() }
        wake.signal()
        core.withLock { $0.close() }
    }

    package func record(of instance: ProcessInstance, pid: Int32) -> Fact<ExecRecord> {
        // Each time around, the process executed something else while it was looked at.
        for _ in 0..<8 {
            switch drained({ $0.look(at: pid, as: instance) }) {
            case .settled(let record): return record
            case .unresolved(let process):
                let found = ImageFinder(journal: self, clock: clock).find(process, pid: pid, instance: instance)
                if let record = drained({ $0.note(found, of: process, pid: pid, as: instance) }) { return record }
            }
        }
        return .unknown(Gap("it executes programs faster than they can be looked at"))
    }

    /// Waits until the program of an instance is measured, or cannot be.
    ///
    /// ``record(of:pid:)`` answers at once, and says that a large program of the caller's own is being measured while
    /// it is. Who would refuse for that asks here first.
    ///
    /// - Parameters:
    ///   - instance: The process.
    ///   - pid: Its number in the agent's PID namespace.
    ///   - patience: The longest wait.
    /// - Returns: What ``record(of:pid:)`` says at the end of it.
    /// - Throws: `CancellationError`.
    package func settled(
        _ instance: ProcessInstance, pid: Int32, within patience: Duration
    ) async throws -> Fact<ExecRecord> {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: patience)
        var pause = Duration.milliseconds(1)
        while true {
            let record = record(of: instance, pid: pid)
            guard record.value?.image.value?.program.digest == .unmeasured(.beingMeasured), clock.now < deadline else {
                return record
            }
            try await clock.sleep(for: min(pause, clock.now.duration(to: deadline)))
            pause = min(pause * 2, .milliseconds(20))
        }
    }

    package func watch(
        _ instance: ProcessInstance, pid: Int32, notify: @escaping @Sendable (ProcessChange) -> Void
    ) -> ProcessWatch {
        // Known and looked at first, so that a number that means another process by now is not watched.
        let number: UInt64? = drained { core in
            guard core.isOpen, ProcessHandle.pidfsInode(of: pid).map({ instance.mark == .pidfs(inode: $0) }) ?? false
            else { return nil }
            return core.addWatch(pid, notify)
        }
        guard let number else {
            notices.async { notify(ProcessHandle.pidfsInode(of: pid) == nil ? .exited : .eventsLost) }
            return ProcessWatch {}
        }
        return ProcessWatch { [weak self] in self?.core.withLock { $0.endWatch(number, of: pid) } }
    }

    /// What the journal is doing.
    package var status: JournalStatus {
        var status = core.withLock { $0.snapshot }
        status.hashing = hasher.load
        if let guarding = scripts.withLock({ $0?.status }) {
            (status.guardState, status.held, status.letGo) = (guarding.state, guarding.held, guarding.letGo)
            status.guardedScripts = guarding.marked
        }
        return status
    }

    /// Takes in what waits on the kernel's queues, and does something with the journal as it is then.
    @discardableResult
    func drained<Result>(_ body: (inout JournalCore) -> Result) -> Result {
        core.withLock { core in
            let due = core.drain()
            if !due.isEmpty { notices.async { for notice in due { notice() } } }
            return body(&core)
        }
    }

    /// Takes events in from time to time, so that queues do not run full and watchers hear of changes soon.
    private static func run(_ journal: () -> ExecJournal?) {
        // Rings of processors that were taken offline.
        var ended: Set<Int32> = []
        while let running = journal(), !running.isStopped.load(ordering: .relaxed) {
            let (events, all, hasLeases) = running.core.withLock {
                ($0.pollDescriptors, $0.fullDescriptors, $0.hasLeases)
            }
            let wake = running.wake
            let rings = all.filter { !ended.contains($0) }
            withExtendedLifetime(running) {
                // Nothing happens on an idle host; with leases, writers must not be kept waiting. A ring fills up also
                // where nothing is forked, executed or ended.
                var ready = wake.wait(for: events + rings, atMost: hasLeases ? .milliseconds(15) : .seconds(1))
                if ready.readable.isDisjoint(with: rings) {
                    ended.formUnion(ready.ended.intersection(rings))
                    // The first of many: the others come along, unless they would fill a ring.
                    let configuration = running.configuration
                    let pause =
                        running.core.withLock { $0.hasWatches } ? configuration.pause : configuration.unwatchedPause
                    ready = wake.wait(
                        for: rings.filter { !ended.contains($0) },
                        atMost: hasLeases ? min(.milliseconds(4), pause) : pause)
                }
                ended.formUnion(ready.ended.intersection(rings))
                running.drained { _ in }
                running.core.withLock { $0.keepUp() }
                running.clock.look()
            }
        }
    }
}

/// Why there is no exec journal on this host.
package struct JournalUnavailable: Error, Hashable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

extension Gap {
    /// The program is being hashed; ask again.
    package static var beingMeasured: Gap { Gap("being measured") }
}
