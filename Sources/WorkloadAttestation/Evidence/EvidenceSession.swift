internal import AgentDomain
package import LinuxKernel
internal import Synchronization

/// The examination of one connected process, from accept to close.
///
/// Everything is read anew for each ``gather(_:connection:fresh:)``. What is kept in between are open descriptors, and
/// values derived from texts that turn out not to have changed; sessions that are used rarely let go of these (see
/// `AwakeSessions`). Calls block on the kernel, never on the process or on hashing, and take turns.
package final class EvidenceSession: Sendable {
    package let instance: ProcessInstance
    package let handle: ProcessHandle
    package let credentials: PeerCredentials

    private let sources: EvidenceSources
    private let state: Mutex<SessionState>
    /// Whether it was used since ``AwakeSessions`` came by.
    let wasUsed = Atomic(true)
    private let shouldRest = Atomic(false)

    /// Begins the examination; best at accept, since an exec after this is noticed.
    ///
    /// - Parameters:
    ///   - handle: The process.
    ///   - credentials: What the kernel noted at connect.
    ///   - sources: What else is read.
    /// - Throws: ``AttestationError`` when the process is gone or may not be looked at.
    package init(
        of handle: ProcessHandle, credentials: PeerCredentials, using sources: EvidenceSources
    ) throws(AttestationError) {
        do {
            instance = try handle.instance()
            state = Mutex(SessionState(directory: try ProcessDirectory(of: handle)))
        } catch { throw handle.isAlive ? .unreadable(detail: "\(error)") : .gone }
        (self.handle, self.credentials, self.sources) = (handle, credentials, sources)
        state.withLock { state in
            state.firstGeneration = sources.history?.record(of: instance, pid: handle.pid).value?.generation
            // Also where there is a journal: it may lose events later.
            state.firstMark = state.imageMark(of: handle)
        }
        sources.awake.add(self)?.rest()
    }

    /// How many files are held open for all sessions together before each lets go of its own after every look.
    private static let mostOpenFiles = 1024

    /// Looks at everything.
    ///
    /// - Parameters:
    ///   - needs: Which of the costly facts something hangs on.
    ///   - connection: What the socket's server knows.
    ///   - fresh: Digests taken since the last time, if that needed some.
    /// - Returns: The evidence, or what has to be hashed first.
    /// - Throws: ``AttestationError``.
    package func gather(
        _ needs: EvidenceNeeds, connection: ConnectionFacts, fresh: FreshDigests = FreshDigests()
    ) throws(AttestationError) -> GatherOutcome {
        wasUsed.store(true, ordering: .relaxed)
        var hasWoken = false
        let result = state.withLock { state -> Result<GatherOutcome, AttestationError> in
            hasWoken = state.directory == nil
            let result = Result { () throws(AttestationError) -> GatherOutcome in
                try look(&state, needs, connection, fresh)
            }
            let mustRest = shouldRest.exchange(false, ordering: .relaxed)
            if mustRest || sources.files.count > Self.mostOpenFiles { state.rest() }
            return result
        }
        if hasWoken { sources.awake.add(self)?.rest() }
        return try result.get()
    }

    /// Whether the process still is what evidence was gathered of: alive, in the same image, with nothing new to its name.
    ///
    /// Asked after the challenge was met and before the answer goes out.
    package func stillHolds(_ evidence: Evidence) -> Bool {
        guard handle.isAlive, Self.saysTheSame(record(), evidence.record) else { return false }
        guard evidence.record.value == nil else { return true }
        let (holds, hasWoken) = state.withLock { state -> (Bool, Bool) in
            guard let first = state.firstMark else { return (true, false) }
            let isAsleep = state.directory == nil
            return (state.imageMark(of: handle) == first, isAsleep)
        }
        if hasWoken { sources.awake.add(self)?.rest() }
        return holds
    }

    /// Judges evidence; the last judgement is used again for evidence that has not changed.
    package func judge(_ evidence: Evidence) -> Judgement {
        let last = state.withLock { $0.judged }
        if let last, last.evidence == evidence { return last.judgement }
        let judgement = AssuranceJudge.judge(evidence)
        state.withLock { $0.judged = (evidence, judgement) }
        return judgement
    }

    /// Lets go of what can be had again; at once, or at the end of the look that is under way.
    package func rest() {
        shouldRest.store(true, ordering: .relaxed)
        _ = state.withLockIfAvailable { state in
            shouldRest.store(false, ordering: .relaxed)
            state.rest()
        }
    }

    private func look(
        _ state: inout SessionState, _ needs: EvidenceNeeds, _ connection: ConnectionFacts, _ fresh: FreshDigests
    ) throws(AttestationError) -> GatherOutcome {
        guard handle.isAlive else { throw .gone }
        let record = self.record()
        let directory: ProcessDirectory
        do { directory = try state.open(handle) } catch { throw .unreadable(detail: "\(error)") }
        var gathering = Gathering(
            handle: handle, directory: directory, instance: instance, credentials: credentials, needs: needs,
            sources: sources, record: record, fresh: fresh)
        let evidence: Evidence
        do { evidence = try gathering.run(&state, connection) } catch {
            guard handle.isAlive else { throw .gone }
            throw .unreadable(detail: error.description)
        }
        // The journal's word frames the rest: nothing in between is of two images.
        let after = self.record()
        guard handle.isAlive else { throw .gone }
        guard after.value?.generation == record.value?.generation else {
            throw .unreadable(detail: "it executed another program meanwhile")
        }
        // That a measurement was completed meanwhile takes nothing away.
        guard Self.saysTheSame(after, record) else { throw .unreadable(detail: "it changed meanwhile") }
        guard gathering.requests.isEmpty else { return .needsHashing(gathering.requests) }
        return .complete(evidence)
    }

    /// Whether two looks at the journal are of one image with nothing new against it.
    private static func saysTheSame(_ one: Fact<ExecRecord>, _ other: Fact<ExecRecord>) -> Bool {
        one.value?.generation == other.value?.generation && one.value?.taints == other.value?.taints
    }

    private func record() -> Fact<ExecRecord> {
        sources.history?.record(of: instance, pid: handle.pid) ?? .unknown(Gap("the exec journal does not run"))
    }
}

/// What looking at a process has come to.
package enum GatherOutcome: Sendable {
    case complete(Evidence)
    /// Have these hashed by ``HashingBudget/digests(of:for:)``, and gather again with the result.
    case needsHashing([HashRequest])
}

/// What a session keeps between two looks.
struct SessionState {
    /// Nil while it rests.
    private(set) var directory: ProcessDirectory?
    var buffer: [UInt8] = []
    var firstGeneration: UInt64?
    var firstMark: [UInt8]?
    /// Never changes for a process.
    var pidNamespace: (inode: Fact<UInt64>, owner: Fact<UInt64>)?
    var program: HeldFile?
    var code: HeldCode?
    var judged: (evidence: Evidence, judgement: Judgement)?

    init(directory: ProcessDirectory) { self.directory = directory }

    /// Its directory, opened where it is not; a pinned process is the same one again.
    mutating func open(_ handle: ProcessHandle) throws(LinuxError) -> ProcessDirectory {
        if let directory { return directory }
        let opened = try ProcessDirectory(of: handle)
        directory = opened
        return opened
    }

    mutating func rest() {
        (directory, buffer, program, code, judged) = (nil, [], nil, nil, nil)
    }

    /// What the kernel laid out for the image at exec, as it keeps it: addresses that it drew, and where the program
    /// begins.
    ///
    /// Nothing is read from the process's own memory, which it could make anyone wait for.
    mutating func imageMark(of handle: ProcessHandle) -> [UInt8]? {
        guard let directory = try? open(handle),
            let count = try? directory.contents(of: "auxv", into: &buffer, limit: 4096),
            AuxiliaryVector(parsing: buffer[..<count]) != nil
        else { return nil }
        return Array(buffer[..<count])
    }
}

/// A file that is held open, and what has been found out about it in one state.
struct HeldFile {
    let file: ExecutableFile
    var state: FileState
    var hasAccessList: Bool?
    var isImmutable: Bool

    init(_ file: ExecutableFile, _ state: FileState) {
        (self.file, self.state) = (file, state)
        hasAccessList = file.hasAccessList
        isImmutable = FileTrust.isImmutable(state, hasAccessList: hasAccessList, fileSystem: file.fileSystem)
    }

    /// Takes note of its state now; a new access list changes that, too.
    mutating func refresh(_ now: FileState) {
        if now != state { self = HeldFile(file, now) }
    }
}

/// Executable memory as it was, with the files behind it.
struct HeldCode {
    struct Mapped {
        let mapping: ExecutableMapping
        /// Which of ``HeldCode/files`` is behind it.
        let file: Int?
        let gap: Gap?
    }

    var mapped: [Mapped]
    var files: [(held: HeldFile, path: String)]
    var mappings: [ExecutableMapping]
}
