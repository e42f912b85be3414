import AgentDomain
import Crypto
import Foundation
import Glibc
import LinuxKernel
import Platform
import SPIFFE
import Testing
import WorkloadAttestation

private let isRoot = geteuid() == 0

@Suite("Evidence of real processes", .enabled(if: isRoot, "needs root, to look behind other processes' memory"))
struct EvidenceSessionTests {
    private let history = ScriptedHistory()
    private let sources: EvidenceSources
    private let budget: HashingBudget

    init() throws {
        sources = EvidenceSources(host: try HostAbilities.probe(), history: history)
        budget = HashingBudget(cache: sources.digests)
    }

    private func record(of path: String, digest: ExecutedFile.DigestState? = nil) throws -> Fact<ExecRecord> {
        let measured = Hex.encode(SHA256.hash(data: try Data(contentsOf: URL(fileURLWithPath: path))))
        let program = ExecutedFile(
            identity: try KernelFile.state(of: path).identity, path: .known(path, .journal),
            digest: digest ?? .measured(measured))
        return .known(
            ExecRecord(
                generation: 1, image: .known(ExecutedImage(program: program), .journal),
                parent: .unknown(Gap("not seen"))), .journal)
    }

    @Test("An honest process that was seen to execute reaches AL3, whether its digest was taken then or now")
    func honest() async throws {
        for state in [nil, ExecutedFile.DigestState.pending] {
            let child = try Subject()
            defer { child.end() }
            child.echo()
            history.say(try record(of: "/bin/cat", digest: state), of: child.pid)
            let session = try child.session(sources)
            let evidence = try await session.evidence([.program, .libraries], budget)
            let judgement = session.judge(evidence)
            #expect(judgement.missing.isEmpty, "\(judgement.missing)")
            #expect(judgement.attestation.level == .measuredExec)
            let digest = Hex.encode(SHA256.hash(data: try Data(contentsOf: URL(fileURLWithPath: "/bin/cat"))))
            #expect(judgement.attestation.selectors.contains(try Selector(parsing: "exec:sha256:\(digest)")))
            #expect(judgement.attestation.selectors.contains(try Selector(parsing: "code:text:clean")))
            #expect(evidence.code.value?.files.contains { $0.path.contains("libc.so") } == true)
        }
    }

    @Test(
        "An ancestor is known by instance and by the program that it executed, which is hashed if only root can change it"
    )
    func lineage() async throws {
        let shell = try Subject(["/bin/sh", "-c", "/bin/cat; :"])
        defer { shell.end() }
        shell.echo()
        let children = try String(contentsOfFile: "/proc/\(shell.pid)/task/\(shell.pid)/children", encoding: .utf8)
        let pid = try #require(children.split(separator: " ").first.flatMap { Int32($0) })
        defer { kill(pid, SIGTERM) }
        let handle = try ProcessHandle(pid: pid)
        let program = URL(fileURLWithPath: "/bin/sh").resolvingSymlinksInPath().path
        let digest = Hex.encode(SHA256.hash(data: try Data(contentsOf: URL(fileURLWithPath: program))))
        // Nobody else's program is asked for.
        var above = getpid()
        while above > 0 {
            let parent = ProcessList.member(above)?.parent ?? 0
            history.say(try born(of: parent, .unknown(Gap("not seen"))), of: above)
            above = parent
        }
        history.say(
            try born(of: shell.pid, try #require(try record(of: "/bin/cat").value).image), of: pid)
        for state in [nil, ExecutedFile.DigestState.pending] {
            let image = try #require(try record(of: program, digest: state).value).image
            history.say(try born(of: getpid(), image), of: shell.pid)
            let session = try EvidenceSession(
                of: handle, credentials: PeerCredentials(pid: pid, uid: geteuid(), gid: getegid()), using: sources)
            let evidence = try await session.evidence(.everything, budget)
            let ancestors = try #require(evidence.lineage.value?.ancestors, "\(evidence.lineage)")
            #expect(ancestors.prefix(2).map(\.pid) == [shell.pid, getpid()])
            #expect(ancestors.first?.instance == (try ProcessHandle(pid: shell.pid).instance()))
            #expect(ancestors.first?.digest.value == digest)
            let selectors = session.judge(evidence).attestation.selectors
            #expect(selectors.contains(try Selector(parsing: "proc:parent:exec:sha256:\(digest)")))
            #expect(selectors.contains(try Selector(parsing: "proc:ancestor:exec:sha256:\(digest)")))
        }
        // A program that has changed since is not what was executed.
        var other = try #require(try record(of: program, digest: .pending).value).image
        other.change { $0.program.identity = identity(5) }
        history.say(try born(of: getpid(), other), of: shell.pid)
        let session = try EvidenceSession(
            of: handle, credentials: PeerCredentials(pid: pid, uid: geteuid(), gid: getegid()), using: sources)
        let changed = try await session.evidence(.everything, budget)
        #expect(changed.lineage.value?.ancestors.first?.digest.gap != nil)
        // Who was born of another is nobody's child here.
        history.say(try born(of: getpid(), other), of: pid)
        #expect(try await session.evidence(.everything, budget).lineage.gap != nil)
    }

    private func born(of parent: Int32, _ image: Fact<ExecutedImage>) throws -> Fact<ExecRecord> {
        let instance: Fact<ProcessInstance> =
            parent > 0 ? .known(try ProcessHandle(pid: parent).instance(), .journal) : .unknown(Gap("nobody's"))
        return .known(ExecRecord(generation: 1, image: image, parent: instance), .journal)
    }

    @Test("Without a journal AL2 is reached by the bytes drawn at exec")
    func noJournal() async throws {
        let child = try Subject()
        defer { child.end() }
        child.echo()
        let session = try child.session(EvidenceSources(host: sources.host))
        let judgement = session.judge(try await session.evidence([.program], budget))
        #expect(judgement.attestation.level == .boundImage)
        #expect(judgement.missing.contains { $0.proof == .measuredExec && $0.reason.contains("does not run") })
    }

    @Test("A second look asks for nothing more to be hashed, and comes to the same")
    func warm() async throws {
        let child = try Subject()
        defer { child.end() }
        child.echo()
        history.say(try record(of: "/bin/cat"), of: child.pid)
        let session = try child.session(sources)
        let first = try await session.evidence([.program, .libraries], budget)
        guard case .complete(let second) = try session.gather([.program, .libraries], connection: bound) else {
            Issue.record("asked again")
            return
        }
        #expect(first.code == second.code)
        #expect(session.judge(first).attestation == session.judge(second).attestation)
        #expect(sources.digests.counts.hits > 0)
        session.rest()
        guard case .complete(let rested) = try session.gather([.program, .libraries], connection: bound) else {
            Issue.record("asked again after a rest")
            return
        }
        #expect(rested == second)
    }

    @Test("However many sessions there are, only a few hold more than the process, and all come to the same")
    func fewAwake() async throws {
        let child = try Subject()
        defer { child.end() }
        child.echo()
        let sources = EvidenceSources(host: sources.host, awakeSessions: 4)
        let budget = HashingBudget(cache: sources.digests)
        let before = try openDirectories(of: child.pid)
        let sessions = try (0..<32).map { _ in try child.session(sources) }
        var found: Set<Evidence> = []
        for session in sessions + sessions { found.insert(try await session.evidence([.program, .libraries], budget)) }
        #expect(found.count == 1)
        #expect(sessions.allSatisfy { session in found.allSatisfy { session.stillHolds($0) } })
        for session in sessions {
            guard case .complete = try session.gather(.program, connection: bound) else {
                Issue.record("asked again")
                return
            }
        }
        #expect(try openDirectories(of: child.pid) - before <= 4)
    }

    /// How many descriptors of this process lead to a process's directory.
    private func openDirectories(of pid: Int32) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == "/proc/\(pid)"
        }
    }

    @Test("An exec between two looks is another image, with the journal and without it")
    func execBetween() async throws {
        let child = try Subject(["/bin/sh", "-c", "read x; exec /bin/cat"])
        defer { child.end() }
        history.say(
            .known(ExecRecord(generation: 1, image: .unknown(Gap("no")), parent: .unknown(Gap("no"))), .journal),
            .known(ExecRecord(generation: 2, image: .unknown(Gap("no")), parent: .unknown(Gap("no"))), .journal),
            of: child.pid)
        usleep(50_000)
        let (journaled, plain) = (
            try child.session(sources), try child.session(EvidenceSources(host: sources.host))
        )
        let before = plain.judge(try await plain.evidence(.program, budget))
        #expect(before.attestation.level == .boundImage)
        child.write("x\n")
        while try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(child.pid)/exe").hasSuffix("sh") {
            usleep(1000)
        }
        child.echo()
        for session in [journaled, plain] {
            let judgement = session.judge(try await session.evidence(.program, budget))
            #expect(judgement.attestation.level == .executableLink)
            #expect(judgement.missing.contains { $0.proof == .sameImage })
        }
    }

    @Test("An exec during a look ends it")
    func execDuring() throws {
        let child = try Subject()
        defer { child.end() }
        let one = ExecRecord(generation: 1, image: .unknown(Gap("no")), parent: .unknown(Gap("no")))
        var (two, tainted) = (one, one)
        two.generation = 2
        tainted.taints = [.traced]
        for change in [two, tainted] {
            history.say(.known(one, .journal), .known(one, .journal), .known(change, .journal), of: child.pid)
            let session = try child.session(sources)
            #expect(throws: AttestationError.self) { try session.gather([], connection: bound) }
        }
    }

    @Test("A process whose ids are not those at connect is refused, and one that has ended is gone")
    func refused() throws {
        let child = try Subject()
        let session = try child.session(uid: 12345, sources)
        #expect(throws: AttestationError.unreadable(detail: "its ids have changed since it connected")) {
            try session.gather([], connection: bound)
        }
        let ended = try child.session(sources)
        child.end()
        #expect(throws: AttestationError.gone) { try ended.gather([], connection: bound) }
        #expect(throws: (any Error).self) { try child.session(sources) }
    }

    @Test("An unprivileged user's process shows its confinement")
    func confined() async throws {
        let child = try Subject([
            "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "/bin/cat",
        ])
        defer { child.end() }
        while try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(child.pid)/exe").hasSuffix("setpriv") {
            usleep(1000)
        }
        child.echo()
        let session = try child.session(uid: 65534, gid: 65534, sources)
        let evidence = try await session.evidence(.everything, budget)
        #expect(evidence.confinement.noNewPrivileges.value == true)
        #expect(evidence.confinement.capabilities.value?.isEmpty == true)
        #expect(evidence.executable.value?.writableByCaller == false)
        #expect(evidence.executable.value?.isImmutable == true)
        #expect(evidence.cgroups.value?.managed != nil)
        #expect(evidence.executable.value?.path.value?.hasSuffix("/bin/cat") == true)
    }

    @Test("A program of the caller's own is writable by it, hashed once while it runs, and honest")
    func ownProgram() async throws {
        let folder = try Folder()
        #expect(chmod(folder.path, 0o755) == 0)
        let program = "\(folder.path)/agent"
        try FileManager.default.copyItem(atPath: "/bin/cat", toPath: program)
        #expect(chown(program, 65534, 65534) == 0)
        let child = try Subject(["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program])
        defer { child.end() }
        child.echo()
        // Too young, its digest is not kept.
        usleep(30_000)
        let session = try child.session(uid: 65534, gid: 65534, sources)
        let evidence = try await session.evidence(.program, budget)
        #expect(evidence.executable.value?.writableByCaller == true)
        #expect(evidence.executable.value?.isImmutable == false)
        #expect(session.judge(evidence).attestation.level == .boundImage)
        if sources.host.protectsRunningFiles == true {
            guard case .complete = try session.gather(.program, connection: bound) else {
                Issue.record("hashed again")
                return
            }
        }
        try FileManager.default.removeItem(atPath: program)
        let deleted = try await session.evidence(.program, budget)
        #expect(deleted.executable.value?.isDeleted == true)
        #expect(deleted.executable.value?.path.gap != nil)
        #expect(deleted.executable.value?.digest.value == evidence.executable.value?.digest.value)
    }

    @Test("Text that somebody wrote to is found, in the program and in the vdso", arguments: ["/cat", "[vdso]"])
    func patched(place: String) async throws {
        let child = try Subject()
        defer { child.end() }
        child.echo()
        history.say(try record(of: "/bin/cat"), of: child.pid)
        let session = try child.session(sources)
        #expect(session.judge(try await session.evidence(.program, budget)).attestation.level == .boundImage)
        let maps = try String(contentsOfFile: "/proc/\(child.pid)/maps", encoding: .utf8)
        let line = try #require(maps.split(separator: "\n").first { $0.contains("r-xp") && $0.hasSuffix(place) })
        let address = try #require(Int(line.prefix { $0 != "-" }, radix: 16))
        let memory = open("/proc/\(child.pid)/mem", O_RDWR)
        defer { close(memory) }
        var byte: UInt8 = 0
        #expect(pread(memory, &byte, 1, off_t(address)) == 1)
        #expect(pwrite(memory, &byte, 1, off_t(address)) == 1)
        let judgement = session.judge(try await session.evidence(.program, budget))
        #expect(judgement.attestation.levelAdmittingJIT == .executableLink)
        #expect(judgement.missing.contains { $0.proof == .unchangedCode && $0.reason.contains("was changed") })
    }

    @Test("A tracer is seen while it is attached")
    func traced() async throws {
        let child = try Subject()
        defer { child.end() }
        child.echo()
        let session = try child.session(sources)
        typealias Trace = @convention(c) (Int, Int, Int, Int) -> Int
        let ptrace = unsafeBitCast(try #require(dlsym(nil, "ptrace")), to: Trace.self)
        // PTRACE_SEIZE
        #expect(ptrace(0x4206, Int(child.pid), 0, 0) == 0)
        let judgement = session.judge(try await session.evidence(.program, budget))
        #expect(judgement.attestation.level == .executableLink)
        #expect(judgement.missing.contains { $0.proof == .notTraced && $0.reason.contains("traces it") })
    }

    @Test("A library that its user can change is hashed each time")
    func ownLibrary() async throws {
        let library = try #require(
            ["/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6", "/usr/lib64/libm.so.6"]
                .first(where: FileManager.default.fileExists))
        let folder = try Folder()
        let copy = "\(folder.path)/libown.so"
        try FileManager.default.copyItem(
            atPath: URL(fileURLWithPath: library).resolvingSymlinksInPath().path, toPath: copy)
        #expect(chown(copy, 65534, 65534) == 0)
        let child = try Subject(["/usr/bin/env", "LD_PRELOAD=\(copy)", "/bin/cat"])
        defer { child.end() }
        child.echo()
        history.say(try record(of: "/bin/cat"), of: child.pid)
        let session = try child.session(sources)
        let evidence = try await session.evidence([.program, .libraries], budget)
        let file = try #require(
            evidence.code.value?.files.first { $0.path.hasSuffix("/libown.so") }, "\(evidence.code)")
        #expect(!file.isImmutable)
        #expect(file.digest.value != nil)
        let attestation = session.judge(evidence).attestation
        #expect(attestation.level == .boundImage)
        #expect(attestation.levelVouched == .measuredExec)
        #expect(attestation.unvouched.map(\.description) == ["code:lib:sha256:\(file.digest.value ?? "")"])
        guard case .needsHashing(let requests) = try session.gather([.program, .libraries], connection: bound) else {
            Issue.record("not hashed again")
            return
        }
        #expect(requests.map { $0.file.identity } == [file.identity])
    }

    @Test("A process in namespaces of its own making has no more than an account")
    func foreignNamespace() async throws {
        let child = try Subject(["/usr/bin/unshare", "--user", "--map-root-user", "--pid", "--fork", "/bin/cat"])
        defer { child.end() }
        var inner: Int32?
        for _ in 0..<2000 where inner == nil {
            let text = try? String(contentsOfFile: "/proc/\(child.pid)/task/\(child.pid)/children", encoding: .utf8)
            inner = text?.split(separator: " ").first.flatMap { Int32($0) }
            usleep(1000)
        }
        let pid = try #require(inner, "this host lets nobody make user namespaces")
        while try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe").hasSuffix("unshare") {
            usleep(1000)
        }
        child.echo()
        let session = try EvidenceSession(
            of: ProcessHandle(pid: pid), credentials: PeerCredentials(pid: pid, uid: 0, gid: 0), using: sources)
        let judgement = session.judge(try await session.evidence(.program, budget))
        #expect(judgement.attestation.level == .account)
        #expect(judgement.missing.first?.proof == .ownNumber)
    }
}

@Suite("Evidence of this very process", .serialized, .enabled(if: isRoot, "needs root"))
struct OwnEvidenceTests {
    @Test("Anonymous executable memory, writable code and a memfd are found for what they are")
    func anonymous() async throws {
        let sources = EvidenceSources(host: try HostAbilities.probe())
        let session = try EvidenceSession(
            of: ProcessHandle(pid: getpid()),
            credentials: PeerCredentials(pid: getpid(), uid: geteuid(), gid: getegid()), using: sources)
        let cases: [(Int32, Int32, String)] = [
            (PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, "no file behind it"),
            (PROT_READ | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, "without a name"),
        ]
        for (protection, flags, words) in cases {
            let memory = try #require(mmap(nil, 4096, protection, flags, -1, 0))
            try #require(memory != MAP_FAILED)
            defer { munmap(memory, 4096) }
            guard case .complete(let evidence) = try session.gather([], connection: bound) else {
                Issue.record("asked for hashes")
                return
            }
            let found = try #require(evidence.code.value?.anonymous)
            #expect(found.contains(words), "\(found)")
            #expect(session.judge(evidence).missing.contains { $0.proof == .noAnonymousCode })
        }
    }
}

@Suite("Evidence of an agent without the rights of root")
struct UnprivilegedEvidenceTests {
    @Test("Its own user's processes have the digest of their link, and the reason why not more")
    func ownProcess() async throws {
        let child = try Subject()
        defer { child.end() }
        child.echo()
        var host = try HostAbilities.probe()
        host.canLookAtAll = false
        let sources = EvidenceSources(host: host)
        let session = try child.session(sources)
        let judgement = session.judge(
            try await session.evidence(.program, HashingBudget(cache: sources.digests)))
        #expect(judgement.attestation.level == .executableLink)
        #expect(judgement.attestation.levelAdmittingJIT == .executableLink)
        #expect(judgement.missing.contains { $0.proof == .privilegedAgent })
        #expect(judgement.attestation.selectors.contains { "\($0)".hasPrefix("unix:sha256:") })
    }
}
