internal import Crypto
internal import Foundation
internal import Glibc
internal import LinuxKernel
internal import Platform
internal import Synchronization

/// Looks at scripts while their execs are held.
///
/// Runs on one thread. Only what the configuration names is ever held; everything else on the host goes its way.
final class ScriptGuard: Sendable {
    struct Report: Sendable {
        var state: String
        var held: UInt64 = 0
        var letGo: UInt64 = 0
        var marked = 0
    }

    /// The largest script hashed while its exec waits.
    private static let sizeLimit = 4 << 20

    private let report: Mutex<Report>
    private let places: ScriptPlaces
    private let mostMarked: Int
    private let isStopped = Atomic(false)

    /// Starts the guardian, then the guard.
    ///
    /// - Parameters:
    ///   - configuration: What is guarded.
    ///   - command: How to start the guardian.
    ///   - journal: Gives the journal, as long as there is one.
    /// - Throws: ``LinuxError``.
    init(
        _ configuration: ExecJournalConfiguration, _ command: GuardianCommand,
        journal: @escaping @Sendable () -> ExecJournal?
    ) throws(LinuxError) {
        let group = try ExecGuard()
        try group.start(command.path, command.arguments)
        for path in configuration.guarded { try group.mark(path) }
        places = ScriptPlaces(most: configuration.mostScriptsOfUser)
        mostMarked = configuration.mostGuardedScripts
        report = Mutex(Report(state: "on"))
        let box = SendableGuard(group)
        let thread = Thread { [self] in run(box.group, journal) }
        thread.name = "exec-guard"
        thread.start()
    }

    func stop() { isStopped.store(true, ordering: .sequentiallyConsistent) }

    var status: Report { report.withLock { $0 } }

    private func run(_ group: ExecGuard, _ journal: () -> ExecJournal?) {
        var marked = MarkedScripts(most: mostMarked)
        while !isStopped.load(ordering: .relaxed) {
            // Without a guardian nothing would let execs go if this process were stopped.
            guard group.guardianRuns else {
                report.withLock { $0.state = "off: the guardian has ended" }
                return
            }
            for exec in group.next(within: 100) {
                report.withLock { $0.held += 1 }
                guard let journal = journal(), exec.process != group.guardian else {
                    _ = group.allow(exec)
                    close(exec.descriptor)
                    continue
                }
                admit(exec, group, journal, &marked)
            }
            report.withLock { ($0.letGo, $0.marked) = (group.letGo, marked.count) }
        }
        report.withLock { $0.state = "stopped" }
    }

    /// Notes the script, and lets the exec go on, whatever was found.
    private func admit(
        _ exec: HeldExec, _ group: ExecGuard, _ journal: ExecJournal, _ marked: inout MarkedScripts
    ) {
        guard let script = try? group.file(of: exec) else {
            _ = group.allow(exec)
            return
        }
        guard let process = exec.process, let handle = script.handle, script.isScript != false else {
            _ = group.allow(exec)
            return
        }
        let held = hold(script, by: process)
        journal.drained { core in
            var isHeld = false
            if let held, core.watchClosing(of: script, handle, &marked) {
                core.holds.hold(held, handle, by: process)
                isHeld = true
            }
            // Let go by the guardian before it was looked at: nothing can be said of it.
            if !group.allow(exec), isHeld {
                core.holds.ended(process)
                isHeld = false
            }
            // Of one whose closing is reported, the opening is not.
            if !isHeld, marked.contains(handle) { core.noteOpened(handle, by: process) }
        }
    }

    /// What can be said of a script, if it can be told that it will be executed.
    private func hold(_ script: ExecutedScript, by process: Int32) -> HeldScript? {
        // Another thread could execute the interpreter while this one is still on its way.
        guard script.isScript == true, ProcessList.member(process)?.threads == 1, let user = Self.user(of: process),
            let place = places.take(for: user)
        else { return nil }
        return HeldScript(file: Self.look(at: script), script: script, place: place)
    }

    /// Whose process it is.
    private static func user(of process: Int32) -> UInt32? {
        guard let handle = try? ProcessHandle(pid: process) else { return nil }
        return try? ProcessDirectory(of: handle).status().users?.real
    }

    private static func look(at script: ExecutedScript) -> ExecutedFile {
        let path = ImageFinder.path(script.path, script.facts)
        func file(_ digest: ExecutedFile.DigestState) -> ExecutedFile {
            ExecutedFile(identity: script.identity, path: path, digest: digest)
        }
        guard script.facts.isLocal else {
            return file(
                .unmeasured(Gap("its file system (\(script.facts.fileSystemName)) may change files from elsewhere")))
        }
        if script.facts.isWritableByRootOnly { return file(.pending) }
        do {
            try script.takeLease()
            var hash = SHA256()
            let contents = try script.contents(limit: sizeLimit)
            contents.withUnsafeBytes { hash.update(bufferPointer: $0) }
            guard script.leaseStands, script.identityNow == script.identity else {
                return file(.unmeasured(Gap("it was opened for writing while it was measured")))
            }
            return file(.measured(Hex.encode(hash.finalize())))
        } catch {
            return file(.unmeasured(Gap("someone has it open for writing, or it cannot be read (\(error))")))
        }
    }
}

// Handed to the one thread that uses it from then on.
private struct SendableGuard: @unchecked Sendable {
    let group: ExecGuard

    init(_ group: ExecGuard) { self.group = group }
}
