internal import AgentDomain
internal import Dispatch
internal import GRPCWire
package import LinuxKernel
internal import Synchronization
internal import WorkloadAttestation

/// Looks at processes that somebody asks about, as if they had connected just now.
final class ProcessExaminer: Sendable {
    /// How many are looked at at once for one user, and for all: a hostile process can make each look take long.
    private static let limits = (perUser: 2, total: 8)
    /// How often files are hashed for one look; they may change meanwhile.
    private static let hashingRounds = 4

    private let sources: EvidenceSources
    private let hashing: HashingBudget
    private let threads = DispatchQueue(label: "mintmark.examination", attributes: .concurrent)
    private let underWay = Mutex<[UInt32: Int]>([:])

    init(sources: EvidenceSources, hashing: HashingBudget) { (self.sources, self.hashing) = (sources, hashing) }

    /// Gathers everything about a process.
    ///
    /// - Parameters:
    ///   - pid: The process.
    ///   - asker: Who wants to know.
    /// - Returns: What was found, and what it comes to.
    /// - Throws: `CallStatus` NotFound, PermissionDenied, ResourceExhausted or Unavailable.
    func examine(_ pid: Int32, for asker: Asker) async throws(CallStatus) -> Examination {
        try enter(asker)
        defer { leave(asker) }
        let session = try await onThread { [sources] in Self.session(of: pid, for: asker, sources) }
        var fresh = FreshDigests()
        for _ in 0..<Self.hashingRounds {
            guard !Task.isCancelled else { throw CallStatus(.cancelled, "nobody waits for the answer any more") }
            let known = fresh
            let outcome = try await onThread { Self.gather(session, known) }
            switch outcome {
            case .complete(let evidence):
                return Examination(pid: pid, evidence: evidence, judgement: session.judge(evidence))
            case .needsHashing(let requests):
                do throws(Overload) { fresh = try await hashing.digests(of: requests, for: asker.uid) } catch {
                    throw CallStatus(.resourceExhausted, "too many files of this user are being hashed; retry later")
                }
            }
        }
        throw CallStatus(.unavailable, "its files keep changing; retry later")
    }

    private static func session(
        of pid: Int32, for asker: Asker, _ sources: EvidenceSources
    ) -> Result<EvidenceSession, CallStatus> {
        do {
            let handle = try ProcessHandle(pid: pid)
            let status = try ProcessDirectory(of: handle).status()
            guard let users = status.users, let groups = status.groups else {
                return .failure(CallStatus(.unavailable, "process \(pid) cannot be read"))
            }
            guard asker.mayExamine(users) else {
                return .failure(CallStatus(.permissionDenied, "process \(pid) is not one of uid \(asker.uid)"))
            }
            let credentials = PeerCredentials(pid: pid, uid: users.effective, gid: groups.effective)
            return .success(try EvidenceSession(of: handle, credentials: credentials, using: sources))
        } catch {
            let isGone = (try? ProcessHandle(pid: pid)) == nil
            return .failure(
                isGone ? CallStatus(.notFound, "no process has number \(pid)") : CallStatus(.unavailable, "\(error)"))
        }
    }

    private static func gather(
        _ session: EvidenceSession, _ fresh: FreshDigests
    ) -> Result<GatherOutcome, CallStatus> {
        do {
            // What a connection of its own would show.
            return .success(
                try session.gather(
                    .everything, connection: ConnectionFacts(isPinned: true, isLive: true), fresh: fresh))
        } catch { return .failure(CallStatus(.unavailable, "\(error)")) }
    }

    private func onThread<Value: Sendable>(
        _ body: @escaping @Sendable () -> Result<Value, CallStatus>
    ) async throws(CallStatus) -> Value {
        let result = await withCheckedContinuation { done in
            threads.async { done.resume(returning: body()) }
        }
        return try result.get()
    }

    /// Finds processes for somebody, within the same limits as looking at them.
    ///
    /// - Throws: `CallStatus` ResourceExhausted.
    func search(
        for asker: Asker, _ body: () async -> [SocketSearch.Holder]
    ) async throws(CallStatus) -> [SocketSearch.Holder] {
        try enter(asker)
        defer { leave(asker) }
        return await body()
    }

    /// Counts somebody in; users cannot keep admins out.
    private func enter(_ asker: Asker) throws(CallStatus) {
        guard !asker.isAdmin else { return }
        let isWithin = underWay.withLock { underWay in
            guard underWay.values.reduce(0, +) < Self.limits.total,
                underWay[asker.uid, default: 0] < Self.limits.perUser
            else { return false }
            underWay[asker.uid, default: 0] += 1
            return true
        }
        guard isWithin else {
            throw CallStatus(.resourceExhausted, "too many processes are being examined; retry later")
        }
    }

    private func leave(_ asker: Asker) {
        guard !asker.isAdmin else { return }
        underWay.withLock { underWay in
            let rest = underWay[asker.uid, default: 1] - 1
            underWay[asker.uid] = rest > 0 ? rest : nil
        }
    }
}

/// Who asks about a process.
package struct Asker: Hashable, Sendable {
    package let uid: UInt32
    /// Whether the question came in on the admin socket.
    package let isAdmin: Bool

    package init(uid: UInt32, isAdmin: Bool) { (self.uid, self.isAdmin) = (uid, isAdmin) }

    /// Whether a process with these ids may be looked at: any by an admin, one's own by everybody else.
    package func mayExamine(_ users: ProcessStatus.IDs) -> Bool {
        isAdmin || [users.real, users.effective, users.saved, users.fileSystem].allSatisfy { $0 == uid }
    }
}
