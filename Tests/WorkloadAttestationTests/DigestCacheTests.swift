import AgentDomain
import Crypto
import Foundation
import Glibc
import LinuxKernel
import Platform
import SPIFFE
import Testing
import WorkloadAttestation

@Suite("Who could change a file")
struct FileTrustTests {
    private static let ext4 = FileSystemKind(number: 0xEF53)

    private func state(_ mode: UInt32, _ owner: UInt32, _ group: UInt32) -> FileState {
        FileState(identity: identity(1), mode: 0o100000 | mode, owner: owner, group: group)
    }

    @Test(
        "Only root's own files on this kernel's file systems are beyond others",
        arguments: [
            (0o755, 0, 0, false, 0xEF53, true), (0o775, 0, 0, false, 0xEF53, true),
            (0o775, 0, 5, false, 0xEF53, false), (0o757, 0, 0, false, 0xEF53, false),
            (0o755, 7, 0, false, 0xEF53, false), (0o755, 0, 0, true, 0xEF53, false),
            (0o755, 0, 0, nil, 0xEF53, false), (0o755, 0, 0, false, 0x6573_5546, false),
            (0o755, 0, 0, false, 0x6969, false), (0o755, 0, 0, false, 0x794C_7630, false),
            (0o755, 0, 0, false, 0, false), (0o755, 0, 0, false, 0x0102_1994, true),
        ] as [(UInt32, UInt32, UInt32, Bool?, UInt64, Bool)])
    func immutable(mode: UInt32, owner: UInt32, group: UInt32, acl: Bool?, fileSystem: UInt64, expected: Bool) {
        #expect(
            FileTrust.isImmutable(
                state(mode, owner, group), hasAccessList: acl, fileSystem: FileSystemKind(number: fileSystem))
                == expected)
    }

    @Test(
        "A caller can write what its ids or capabilities let it",
        arguments: [
            (0o755, 0, 0, 0, false, false), (0o755, 1000, 0, 0, false, true), (0o555, 1003, 0, 0, false, true),
            (0o775, 0, 27, 0, false, true), (0o775, 0, 28, 0, false, false), (0o775, 0, 2001, 0, false, true),
            (0o757, 0, 0, 0, false, true), (0o755, 0, 0, 2, false, true), (0o755, 0, 0, 1 << 12, false, false),
            (0o755, 0, 0, 0, true, true), (0o755, 0, 0, 0, nil, true),
        ] as [(UInt32, UInt32, UInt32, UInt64, Bool?, Bool)])
    func writable(
        mode: UInt32, owner: UInt32, group: UInt32, capabilities: UInt64, acl: Bool?, expected: Bool
    ) {
        let account = ProcessAccount(
            users: .init(real: 1000, effective: 1001, saved: 1002, fileSystem: 1003),
            groups: .init(real: 2000, effective: 2001, saved: 2002, fileSystem: 2003), supplementaryGroups: [27])
        let held = ProcessStatus.Capabilities(inheritable: 0, permitted: capabilities, effective: 0, ambient: 0)
        #expect(
            FileTrust.isWritable(
                state(mode, owner, group), by: account, capabilities: held, hasAccessList: acl,
                isServedBySomeone: false) == expected)
    }

    @Test("What is not known counts as writable")
    func unknown() {
        let file = state(0o755, 0, 0)
        #expect(
            FileTrust.isWritable(file, by: nil, capabilities: nil, hasAccessList: false, isServedBySomeone: false))
    }
}

@Suite("Digests, kept and budgeted", .enabled(if: geteuid() == 0, "needs root, to look behind other processes' memory"))
struct DigestCacheTests {
    private let host: HostAbilities
    private let folder: Folder

    init() throws {
        host = try HostAbilities.probe()
        folder = try Folder()
        #expect(chmod(folder.path, 0o755) == 0)
    }

    /// A running program of user 65534's, as large as asked for; sparse behind its end.
    private func program(size: Int64 = 0) throws -> Subject {
        let path = "\(folder.path)/agent"
        try FileManager.default.copyItem(atPath: "/bin/cat", toPath: path)
        if size > 0 { #expect(truncate(path, off_t(size)) == 0) }
        #expect(chown(path, 65534, 65534) == 0)
        let child = try Subject(["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", path])
        child.echo()
        usleep(30_000)
        return child
    }

    private func session(_ child: Subject, _ sources: EvidenceSources) throws -> EvidenceSession {
        try child.session(uid: 65534, gid: 65534, sources)
    }

    @Test("An executable of 250 MB is hashed once, for all connections")
    func large() async throws {
        let child = try program(size: 250_000_000)
        defer { child.end() }
        let sources = EvidenceSources(host: host)
        let budget = HashingBudget(cache: sources.digests)
        let evidence = try await session(child, sources).evidence(.program, budget)
        let digest = try #require(evidence.executable.value?.digest.value)
        var hash = SHA256()
        try ProcessDirectory(of: ProcessHandle(pid: child.pid)).openExecutable().read(limit: 250_000_000) {
            hash.update(bufferPointer: $0)
        }
        #expect(digest == Hex.encode(hash.finalize()))
        for _ in 0..<3 {
            guard case .complete(let again) = try session(child, sources).gather(.program, connection: bound) else {
                Issue.record("hashed again")
                return
            }
            #expect(again.executable.value?.digest.value == digest)
        }
        #expect(sources.digests.counts.entries == 1)
        #expect(sources.digests.counts.hits == 3)
    }

    @Test("A sparse file of 100 GB is refused with the reason, at once")
    func tooLarge() async throws {
        let child = try program(size: 100_000_000_000)
        defer { child.end() }
        let sources = EvidenceSources(host: host)
        let started = ContinuousClock.now
        let session = try session(child, sources)
        let evidence = try await session.evidence(.program, HashingBudget(cache: sources.digests))
        #expect(ContinuousClock.now - started < .seconds(5))
        #expect(evidence.executable.value?.digest.gap?.description.contains("is larger than") == true)
        #expect(session.judge(evidence).attestation.level == .account)
    }

    @Test("Where the kernel does not protect running files, those of users are hashed each time")
    func unprotected() async throws {
        let child = try program()
        defer { child.end() }
        var host = host
        host.protectsRunningFiles = false
        let sources = EvidenceSources(host: host)
        let budget = HashingBudget(cache: sources.digests)
        let session = try session(child, sources)
        _ = try await session.evidence(.program, budget)
        guard case .needsHashing = try session.gather(.program, connection: bound) else {
            Issue.record("trusted")
            return
        }
        #expect(sources.digests.counts.refused > 0)
    }

    @Test("A file that changed a moment ago, and one from the future, are not kept", arguments: [0.0, -60])
    func young(offset: Double) async throws {
        let child = try program()
        defer { child.end() }
        let state = try KernelFile.state(of: "\(folder.path)/agent").identity.changed
        let sources = EvidenceSources(host: host)
        let now = Date(timeIntervalSince1970: Double(state.seconds) + Double(state.nanoseconds) / 1e9 + 0.01 + offset)
        let budget = HashingBudget(cache: sources.digests, clock: FixedClock(now: now))
        let evidence = try await session(child, sources).evidence(.program, budget)
        #expect(evidence.executable.value?.digest.value != nil)
        #expect(sources.digests.counts.entries == 0)
    }

    @Test("A file that changes before it is hashed has no digest, and says so")
    func changed() async throws {
        let child = try program()
        defer { child.end() }
        let sources = EvidenceSources(host: host)
        let session = try session(child, sources)
        guard case .needsHashing(let requests) = try session.gather(.program, connection: bound) else {
            Issue.record("nothing to hash")
            return
        }
        #expect(chmod("\(folder.path)/agent", 0o711) == 0)
        let fresh = try await HashingBudget(cache: sources.digests).digests(of: requests, for: 65534)
        // It is another state now, so the answer is about nothing.
        guard case .needsHashing = try session.gather(.program, connection: bound, fresh: fresh) else {
            Issue.record("took a digest of another state")
            return
        }
    }

    @Test("A user who has had too much read waits for it to be forgotten; others do not")
    func allowance() {
        let allowance = ByteAllowance(burst: 100, bytesPerSecond: 10)
        var (one, other) = (ByteAllowance.Account(), ByteAllowance.Account())
        #expect(allowance.spend(1000, from: &one, now: 0))
        #expect(!allowance.spend(1, from: &one, now: 1))
        #expect(allowance.spend(1, from: &other, now: 1))
        #expect(!allowance.spend(1, from: &one, now: 80))
        #expect(allowance.spend(50, from: &one, now: 91))
        #expect(!allowance.spend(1, from: &one, now: 0))
    }

    @Test("More than the allowance is refused as overload")
    func overload() async throws {
        let child = try program()
        defer { child.end() }
        let sources = EvidenceSources(host: host)
        let budget = HashingBudget(
            clock: FixedClock(now: Date(timeIntervalSince1970: 0)),
            allowance: ByteAllowance(burst: 1, bytesPerSecond: 1))
        guard case .needsHashing(let requests) = try session(child, sources).gather(.program, connection: bound) else {
            Issue.record("nothing to hash")
            return
        }
        _ = try await budget.digests(of: requests, for: 65534)
        await #expect(throws: Overload.self) { try await budget.digests(of: requests, for: 65534) }
        _ = try await budget.digests(of: requests, for: 65533)
    }
}

private struct FixedClock: WallClock {
    let now: Date

    func sleep(until deadline: Date) async throws {}

    func sleep(for duration: Duration) async throws {}
}
