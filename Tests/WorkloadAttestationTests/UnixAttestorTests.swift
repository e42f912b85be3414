import AgentDomain
import Crypto
import Foundation
import Glibc
import LinuxKernel
import Platform
import SPIFFE
import Synchronization
import Testing
import WorkloadAttestation

@Suite("Unix attestation, first level")
struct UnixAttestorTests {
    @Test("This very process is found with its ids, its path and the digest of its executable")
    func attestsItself() async throws {
        let selectors = try await UnixAttestor().attest(peer()) { _ in true }
        let path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let digest = Hex.encode(SHA256.hash(data: try Data(contentsOf: URL(fileURLWithPath: path))))
        let expected = ["unix:uid:\(geteuid())", "unix:gid:\(getegid())", "unix:path:\(path)", "unix:sha256:\(digest)"]
        for text in expected { #expect(selectors.contains(try Selector(parsing: text)), "\(text)") }
        #expect(selectors.count { UnixSelectors.isDigest($0) } == 1)
        #expect(selectors.allSatisfy { $0.kind == "unix" })
    }

    @Test("Accounts with a name are found by it as well")
    func namesAccounts() async throws {
        let selectors = try await UnixAttestor().attest(peer()) { _ in false }
        let user = AccountNames.user(geteuid()).map { "unix:user:\($0)" }
        let group = AccountNames.group(getegid()).map { "unix:group:\($0)" }
        let named = Set(
            selectors.map(\.description).filter { $0.hasPrefix("unix:user:") || $0.hasPrefix("unix:group:") })
        #expect(named == Set([user, group].compactMap { $0 }))
    }

    @Test("Supplementary groups are those that the kernel reports")
    func supplementaryGroups() async throws {
        let selectors = try await UnixAttestor().attest(peer()) { _ in false }
        var groups = [gid_t](repeating: 0, count: 1024)
        let count = Int(getgroups(Int32(groups.count), &groups))
        let expected = Set(groups.prefix(count).map { "unix:supplementary_gid:\($0)" })
        #expect(Set(selectors.map(\.description).filter { $0.hasPrefix("unix:supplementary_gid:") }) == expected)
    }

    @Test("The digest is taken only when asked for, and the question comes with every cheap fact")
    func digestOnDemand() async throws {
        let asked = Mutex<Set<Selector>?>(nil)
        let selectors = try await UnixAttestor().attest(peer()) { cheap in
            asked.withLock { $0 = cheap }
            return false
        }
        #expect(asked.withLock { $0 } == selectors)
        #expect(!selectors.contains { UnixSelectors.isDigest($0) })
        #expect(selectors.contains { $0.value.hasPrefix("path:/") })
    }

    @Test("An executable above the size limit has no digest, and everything else is still found", arguments: [0, 4096])
    func sizeLimit(limit: Int64) async throws {
        let selectors = try await UnixAttestor(sizeLimit: limit).attest(peer()) { _ in true }
        #expect(!selectors.contains { UnixSelectors.isDigest($0) })
        #expect(selectors.contains(try Selector(parsing: "unix:uid:\(geteuid())")))
    }

    @Test("An executable of exactly the size limit has a digest")
    func exactSize() async throws {
        let size = try ProcessDirectory(of: ProcessHandle(pid: getpid())).openExecutable().size
        let selectors = try await UnixAttestor(sizeLimit: size).attest(peer()) { _ in true }
        #expect(selectors.contains { UnixSelectors.isDigest($0) })
    }

    @Test(
        "A process whose ids are not those at connect is refused",
        arguments: [(1, 0), (0, 1), (1, 1)] as [(UInt32, UInt32)])
    func changedIDs(uidOffset: UInt32, gidOffset: UInt32) async throws {
        let credentials = PeerCredentials(pid: getpid(), uid: geteuid() + uidOffset, gid: getegid() + gidOffset)
        let peer = PeerProcess(credentials: credentials, handle: try ProcessHandle(pid: getpid()))
        let error = await #expect(throws: AttestationError.self) { try await UnixAttestor().attest(peer) { _ in true } }
        #expect(error == .unreadable(detail: "its ids have changed since it connected"))
    }

    @Test("A child is found with its own path, and not with ours")
    func child() async throws {
        let child = try Child()
        defer { child.end() }
        let selectors = try await UnixAttestor().attest(child.peer()) { _ in true }
        let paths = selectors.map(\.value).filter { $0.hasPrefix("path:") }
        #expect(paths.count == 1)
        #expect(paths.allSatisfy { $0.hasSuffix("/cat") })
        let digest = Hex.encode(SHA256.hash(data: try Data(contentsOf: URL(fileURLWithPath: "/bin/cat"))))
        #expect(selectors.contains(try Selector(parsing: "unix:sha256:\(digest)")))
    }

    @Test("A child that has ended is gone")
    func endedChild() async throws {
        let child = try Child()
        let (attestor, peer) = (UnixAttestor(), try child.peer())
        #expect(attestor.isPresent(peer))
        child.end()
        #expect(!attestor.isPresent(peer))
        await #expect(throws: AttestationError.gone) { try await attestor.attest(peer) { _ in true } }
    }

    @Test("A child that ends while it is looked at is gone, whatever was found by then")
    func endsMeanwhile() async throws {
        let child = try Child()
        let peer = try child.peer()
        await #expect(throws: AttestationError.gone) {
            try await UnixAttestor().attest(peer) { _ in
                child.end()
                return true
            }
        }
    }

    @Test("Many at once are all attested, with hashing taking turns")
    func manyAtOnce() async throws {
        let (attestor, peer) = (UnixAttestor(), try peer())
        let found = try await withThrowingTaskGroup(of: Set<Selector>.self) { group in
            for _ in 0..<16 { group.addTask { try await attestor.attest(peer) { _ in true } } }
            return try await group.reduce(into: [Set<Selector>]()) { $0.append($1) }
        }
        #expect(found.count == 16)
        #expect(Set(found).count == 1)
        #expect(found.first?.contains { UnixSelectors.isDigest($0) } == true)
    }

    @Test(
        "Only unix:sha256 selectors count as digests",
        arguments: [
            ("unix:sha256:aa", true), ("unix:sha256sum:aa", false), ("unix:uid:0", false), ("k8s:sha256:aa", false),
        ])
    func recognizesDigests(text: String, isDigest: Bool) throws {
        #expect(UnixSelectors.isDigest(try Selector(parsing: text)) == isDigest)
    }

    private func peer() throws -> PeerProcess {
        PeerProcess(
            credentials: PeerCredentials(pid: getpid(), uid: geteuid(), gid: getegid()),
            handle: try ProcessHandle(pid: getpid()))
    }
}

/// A child process that lives until told to end.
private final class Child: Sendable {
    private let process: Mutex<Process>
    private let input = Pipe()

    let pid: Int32

    init() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/cat")
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        pid = process.processIdentifier
        self.process = Mutex(process)
    }

    func peer() throws -> PeerProcess {
        PeerProcess(
            credentials: PeerCredentials(pid: pid, uid: geteuid(), gid: getegid()), handle: try ProcessHandle(pid: pid))
    }

    /// Ends it and takes note of its end, as a parent does.
    func end() {
        process.withLock { process in
            try? input.fileHandleForWriting.close()
            process.waitUntilExit()
        }
    }
}
