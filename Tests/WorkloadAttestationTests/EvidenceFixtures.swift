import AgentDomain
import Foundation
import Glibc
import LinuxKernel
import Platform
import SPIFFE
import Synchronization
import WorkloadAttestation

/// A digest made of one digit.
func digest(_ digit: Character) -> String { String(repeating: digit, count: 64) }

func identity(_ inode: UInt64, changed: Int64 = 0) -> FileIdentity {
    FileIdentity(
        device: 1, inode: inode, size: 10, modified: .init(seconds: 0, nanoseconds: 0),
        changed: .init(seconds: changed, nanoseconds: 0))
}

extension HostAbilities {
    static let sound = HostAbilities(
        canLookAtAll: true, protectsRunningFiles: true, hasFineTimes: true, hasPidfs: true, memoryDevice: 1 << 40,
        mountNamespace: 11, pidNamespace: HostAbilities.initialPIDNamespace,
        userNamespace: HostAbilities.initialUserNamespace)
}

extension Evidence {
    /// Of an ordinary process of user 1000 about which everything is known and in order.
    static let sound: Evidence = {
        let ids = ProcessStatus.IDs(real: 1000, effective: 1000, saved: 1000, fileSystem: 1000)
        return Evidence(
            instance: ProcessInstance(bootID: "b", mark: .pidfs(inode: 7)), pid: 70,
            credentials: PeerCredentials(pid: 70, uid: 1000, gid: 1000),
            connection: ConnectionFacts(isPinned: true, isLive: true), host: .sound,
            account: .known(ProcessAccount(users: ids, groups: ids, supplementaryGroups: [27]), .proc),
            accountNames: .unknown(.notAsked), login: .unknown(.notAsked),
            confinement: Confinement(
                tracer: .known(0, .proc), noNewPrivileges: .known(true, .proc), seccomp: .known(.filter, .proc),
                capabilities: .known(.init(inheritable: 0, permitted: 0, effective: 0, ambient: 0), .proc)),
            namespaces: NamespaceFacts(
                user: .known(HostAbilities.initialUserNamespace, .proc), mount: .known(11, .proc),
                pid: .known(HostAbilities.initialPIDNamespace, .proc), network: .known(13, .proc),
                pidOwner: .known(HostAbilities.initialUserNamespace, .proc)),
            cgroups: .known(CgroupMembership(unified: "/agents.slice/t1", systemd: nil), .proc),
            cgroupID: .known(8412, .pidfd),
            executable: .known(
                ExecutableFacts(
                    state: FileState(identity: identity(5), mode: 0o100755, owner: 0, group: 0),
                    fileSystem: FileSystemKind(number: 0xEF53), isMemory: false, writableByCaller: false,
                    isImmutable: true, isOnTrustedMount: .unknown(.notAsked), path: .known("/opt/agent", .file),
                    digest: .known(digest("a"), .file)), .file),
            code: .known(
                CodeFacts(
                    files: [
                        MappedCode(
                            identity: identity(5), path: "/opt/agent", isExecutable: true, isImmutable: true,
                            digest: .known(digest("a"), .file)),
                        MappedCode(
                            identity: identity(6), path: "/lib/libc.so", isExecutable: false, isImmutable: true,
                            digest: .known(digest("b"), .file)),
                    ], anonymous: nil, changed: .known(nil, .proc), mappings: 3), .proc),
            entersExecutable: .known(true, .proc),
            record: .known(.sound, .journal), isSameImage: .known(true, .journal), scripts: [],
            lineage: .unknown(.notAsked), package: .unknown(.notAsked), service: .unknown(.notAsked),
            container: .unknown(.notAsked))
    }()

    func with(_ change: (inout Evidence) -> Void) -> Evidence {
        var evidence = self
        change(&evidence)
        return evidence
    }
}

extension ExecRecord {
    static let sound = ExecRecord(
        generation: 3,
        image: .known(
            ExecutedImage(
                program: ExecutedFile(
                    identity: identity(5), path: .known("/opt/agent", .journal), digest: .measured(digest("a")))),
            .journal), parent: .unknown(Gap("its fork was not seen")))
}

extension Fact {
    /// Changes a known value in place.
    mutating func change(_ body: (inout Value) -> Void) {
        guard case .known(var value, let provenance) = self else { return }
        body(&value)
        self = .known(value, provenance)
    }
}

/// A journal that says what it is told to.
final class ScriptedHistory: ExecHistory {
    private let records = Mutex<[Int32: [Fact<ExecRecord>]]>([:])

    /// Answers in turn; the last one again and again.
    func say(_ answers: Fact<ExecRecord>..., of pid: Int32) { records.withLock { $0[pid] = answers } }

    func record(of instance: ProcessInstance, pid: Int32) -> Fact<ExecRecord> {
        records.withLock { records in
            guard let answers = records[pid], let first = answers.first else {
                return .unknown(Gap("never heard of it"))
            }
            if answers.count > 1 { records[pid]?.removeFirst() }
            return first
        }
    }

    func watch(
        _ instance: ProcessInstance, pid: Int32, notify: @escaping @Sendable (ProcessChange) -> Void
    ) -> ProcessWatch { ProcessWatch {} }
}

/// A child process that lives until told to end.
final class Subject: Sendable {
    private let process: Mutex<Process>
    private let input = Pipe()
    private let output = Pipe()
    let pid: Int32

    /// Starts a program and waits until it is no longer a copy of this one.
    init(_ command: [String] = ["/bin/cat"]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        pid = process.processIdentifier
        self.process = Mutex(process)
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        while (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")) == own { usleep(1000) }
    }

    /// Waits until it copies what it reads, so that all its libraries are there.
    func echo() {
        input.fileHandleForWriting.write(Data("x".utf8))
        _ = output.fileHandleForReading.availableData
    }

    func write(_ text: String) { input.fileHandleForWriting.write(Data(text.utf8)) }

    func session(
        uid: UInt32 = geteuid(), gid: UInt32 = getegid(), _ sources: EvidenceSources
    ) throws -> EvidenceSession {
        try EvidenceSession(
            of: ProcessHandle(pid: pid), credentials: PeerCredentials(pid: pid, uid: uid, gid: gid), using: sources)
    }

    /// Ends it and takes note of its end, as a parent does.
    func end() {
        process.withLock { process in
            try? input.fileHandleForWriting.close()
            process.terminate()
            process.waitUntilExit()
        }
    }
}

/// A folder that goes with its owner.
final class Folder {
    let path: String

    init() throws {
        let parent = NSTemporaryDirectory()
        path = (parent.hasSuffix("/") ? parent : parent + "/") + "mintmark-evidence-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String) throws -> String {
        let file = "\(path)/\(name)"
        try FileManager.default.createDirectory(
            atPath: URL(fileURLWithPath: file).deletingLastPathComponent().path, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }
}

let bound = ConnectionFacts(isPinned: true, isLive: true)

extension EvidenceSession {
    /// Gathers, with everything hashed that needs to be.
    func evidence(
        _ needs: EvidenceNeeds, _ budget: HashingBudget, _ connection: ConnectionFacts = bound
    ) async throws -> Evidence {
        switch try gather(needs, connection: connection) {
        case .complete(let evidence): return evidence
        case .needsHashing(let requests):
            let fresh = try await budget.digests(of: requests, for: credentials.uid)
            guard case .complete(let evidence) = try gather(needs, connection: connection, fresh: fresh) else {
                throw AttestationError.unreadable(detail: "asked twice")
            }
            return evidence
        }
    }
}
