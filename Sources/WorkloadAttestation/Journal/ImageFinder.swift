internal import Glibc
internal import LinuxKernel
internal import Synchronization

/// Finds the files behind what the ledger says of a process, without the journal's lock.
struct ImageFinder {
    let journal: ExecJournal
    let clock: EventClockReadings

    func find(_ process: ExecLedger.Process, pid: Int32, instance: ProcessInstance) -> JournalCore.Found {
        let own = ProcessHandle.pidfsInode(of: pid).map {
            ProcessInstance(bootID: instance.bootID, mark: .pidfs(inode: $0))
        }
        let (image, isForged) = image(of: process, pid: pid)
        return JournalCore.Found(
            instance: own ?? ProcessInstance(bootID: "", mark: .pidfs(inode: 0)),
            parent: parent(of: process, bootID: instance.bootID), image: image, isLinkForged: isForged)
    }

    private func parent(of process: ExecLedger.Process, bootID: String) -> Fact<ProcessInstance> {
        guard let parent = process.parent else { return .unknown(Gap("its fork was not seen")) }
        guard let inode = ProcessHandle.pidfsInode(of: parent.process) else {
            return .unknown(Gap("the process that forked it has ended"))
        }
        return .known(ProcessInstance(bootID: bootID, mark: .pidfs(inode: inode)), .journal)
    }

    /// What a process executed, and whether its exe link leads elsewhere: that cannot come about by itself.
    private func image(of process: ExecLedger.Process, pid: Int32) -> (Fact<ExecutedImage>, isForged: Bool) {
        switch process.image {
        case .older: return (.unknown(Gap("it was running before the exec journal")), false)
        case .inherited(let mapped):
            // Which code it runs is its parent's word, but a link that leads elsewhere was turned.
            let running = try? RunningProgram(pid: pid)
            var leadsElsewhere = false
            if let running, let mapped { leadsElsewhere = isForged(running, mapped, at: nil) }
            return (.unknown(Gap("it has not executed a program since it was forked")), leadsElsewhere)
        case .untold(let reason): return (.unknown(Gap(reason)), false)
        case .executed(let mapped, let time):
            let running: RunningProgram
            do { running = try RunningProgram(pid: pid) } catch {
                return (.unknown(Gap("its executable cannot be opened (\(error))")), false)
            }
            let moment = clock.moment(of: time)
            if isForged(running, mapped, at: moment) {
                return (.unknown(Gap("the exe link leads to another file than the kernel mapped")), true)
            }
            if process.openedIsPartial {
                return (.unknown(Gap("the script it was started from, if any, was not told")), false)
            }
            let state: ExecutedFile.DigestState
            switch ImageJudge.judge(running.facts, executed: mapped, at: moment) {
            case .other(let gap), .another(let gap): return (.unknown(gap), false)
            case .unchangeable: state = .pending
            case .unmeasured(let gap): state = .unmeasured(gap)
            case .unchanged: state = measure(running, executed: mapped, at: time, process, pid: pid)
            }
            return (
                .known(
                    ExecutedImage(
                        program: ExecutedFile(
                            identity: running.file.identity, path: Self.path(running.link, running.facts),
                            digest: state),
                        scripts: scripts(of: process, pid: pid)), .journal), false
            )
        }
    }

    private func isForged(_ running: RunningProgram, _ mapped: MappedFile, at moment: ImageJudge.Moment?) -> Bool {
        guard running.facts.isNamedAlike else { return false }
        if case .another = ImageJudge.judge(running.facts, executed: mapped, at: moment) { return true }
        return false
    }

    /// Looks the digest up, or has it taken.
    private func measure(
        _ running: RunningProgram, executed mapped: MappedFile, at time: UInt64, _ process: ExecLedger.Process,
        pid: Int32
    ) -> ExecutedFile.DigestState {
        if let digest = journal.core.withLock({ $0.digest(of: running.file.identity) }) { return .measured(digest) }
        let identity = running.file.identity
        let refusal = journal.hasher.hash(running.file, owner: running.facts.owner) { [journal, clock] outcome in
            let state: ExecutedFile.DigestState
            switch outcome {
            case .failed(let gap): state = .unmeasured(gap)
            case .digest(let digest):
                // The same process, file and state as before: what was read is what was executed.
                if let now = try? RunningProgram(pid: pid), now.file.identity == identity,
                    ImageJudge.judge(now.facts, executed: mapped, at: clock.moment(of: time)) == .unchanged
                {
                    state = .measured(digest)
                } else {
                    state = .unmeasured(Gap("the program changed while it was measured"))
                }
            }
            journal.drained { $0.note(state, of: process, pid: pid) }
        }
        return .unmeasured(refusal ?? .beingMeasured)
    }

    /// The scripts that were held, or else those that were seen, of which it cannot be said that they led here.
    private func scripts(of process: ExecLedger.Process, pid: Int32) -> [ExecutedFile] {
        let chain = journal.core.withLock { core -> JournalCore.ScriptChain? in
            core.chains[pid].flatMap { $0.generation == process.generation ? $0 : nil }
        }
        var scripts = chain?.scripts.map(\.file) ?? []
        if let chain, !UserNamespace.isOwn(pid: pid) {
            // With mounts of its own, a process can make an exec fail after its interpreter was opened.
            scripts = chain.scripts.map { script in
                var file = script.file
                file.digest = .unmeasured(Gap("it was started in a user namespace of its own"))
                return file
            }
        }
        let held = Set(chain?.scripts.compactMap(\.handle) ?? [])
        for handle in process.opened where !held.contains(handle) {
            guard let mount = journal.core.withLock({ $0.mount(of: handle) }), let file = try? mount.open(handle),
                file.isScript != false
            else { continue }
            scripts.append(
                ExecutedFile(
                    identity: file.identity, path: Self.path(file.path, file.facts),
                    digest: .unmeasured(Gap("it was opened to be executed, but not held; guard its directory"))))
        }
        return scripts
    }

    static func path(_ link: String?, _ facts: FileFacts) -> Fact<String> {
        guard let link, RunningProgram.path(link, leadsTo: facts) else {
            return .unknown(Gap("it is not where its path leads in the agent's mount namespace"))
        }
        return .known(link, .journal)
    }
}
