internal import Crypto
internal import Dispatch
internal import Foundation
internal import LinuxKernel
package import Platform

/// Hashes files without letting one user take the machine from the others.
///
/// The work runs on threads of its own, never on those that serve calls. A user has one file hashed at a time and a
/// bounded line of others; callers who ask for the same file at the same moment share one answer. Each answer costs the
/// user time in proportion to the bytes read, so a user whose files cannot be kept in the cache is slowed down.
package actor HashingBudget {
    /// The largest file hashed, in bytes, unless configured otherwise.
    package static let defaultSizeLimit: Int64 = 1 << 29
    /// What one line is full with.
    private static let longestLine = 64

    private struct Line {
        var isBusy = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private struct Work: Hashable {
        let identity: FileIdentity
        let generation: UInt64
    }

    private typealias Answer = Result<String, Gap>

    private let threads = DispatchQueue(label: "mintmark.hashing", qos: .utility, attributes: .concurrent)
    private let sizeLimit: Int64
    private let cache: DigestCache?
    private let clock: any WallClock
    private let allowance: ByteAllowance
    private var spent: [UInt32: ByteAllowance.Account] = [:]
    private var freeThreads: Int
    private var waitingForThread: [CheckedContinuation<Void, Never>] = []
    private var lines: [UInt32: Line] = [:]
    private var underWay: [Work: [CheckedContinuation<Answer, Never>]] = [:]

    /// Creates a budget.
    ///
    /// - Parameters:
    ///   - places: How many files are hashed at once, by all users together.
    ///   - sizeLimit: The largest file hashed, in bytes.
    ///   - cache: Where digests are kept.
    ///   - clock: Tells when a file is too young for its digest to be kept, and how much a user has spent.
    ///   - allowance: How many bytes are read for each user.
    package init(
        places: Int = 2, sizeLimit: Int64 = defaultSizeLimit, cache: DigestCache? = nil,
        clock: any WallClock = SystemWallClock(), allowance: ByteAllowance = ByteAllowance()
    ) {
        (freeThreads, self.sizeLimit, self.cache) = (max(1, places), sizeLimit, cache)
        (self.clock, self.allowance) = (clock, allowance)
    }

    /// Hashes everything that evidence waits for.
    ///
    /// - Parameters:
    ///   - requests: As ``GatherOutcome/needsHashing(_:)`` names them.
    ///   - uid: Whose turn it takes.
    /// - Returns: To be handed to the next gathering. A file that is too large, or changes while it is read, is among
    ///   them with the reason.
    /// - Throws: ``Overload`` when that user already has too much in line, or has had too much read.
    ///
    /// For a task that was cancelled, what is still in line is not hashed.
    package func digests(of requests: [HashRequest], for uid: UInt32) async throws(Overload) -> FreshDigests {
        var fresh = FreshDigests()
        for request in requests { fresh.add(try await answer(request, for: uid), for: request) }
        return fresh
    }

    /// The SHA-256 of an executable.
    ///
    /// - Returns: Lower-case hex, or nil when the file is too large or cannot be read.
    /// - Throws: ``Overload``.
    func digest(of file: ExecutableFile, for uid: UInt32) async throws(Overload) -> String? {
        try? await answer(HashRequest(file: file, state: file.openedAs), for: uid).get()
    }

    private func answer(_ request: HashRequest, for uid: UInt32) async throws(Overload) -> Answer {
        let file = request.file
        let size = request.state.identity.size
        guard size <= sizeLimit else {
            return .failure(Gap("it is larger than \(sizeLimit) bytes"))
        }
        let work = Work(identity: request.state.identity, generation: file.generation)
        if underWay[work] != nil { return await shared(work) }
        guard (lines[uid]?.waiting.count ?? 0) < Self.longestLine else { throw Overload() }
        guard pay(size, uid) else { throw Overload() }
        await takeTurn(uid)
        defer { giveTurn(uid) }
        guard !Task.isCancelled else { return .failure(Gap("nobody waits for it any more")) }
        await takeThread()
        // Shared only from here on: nobody waits in another user's line.
        if underWay[work] != nil {
            giveThread()
            return await shared(work)
        }
        underWay[work] = []
        let answer = await hash(request)
        giveThread()
        if case .success(let digest) = answer { cache?.keep(digest, of: file, in: request.state, now: clock.now) }
        for caller in underWay.removeValue(forKey: work) ?? [] { caller.resume(returning: answer) }
        return answer
    }

    private func pay(_ size: Int64, _ uid: UInt32) -> Bool {
        let now = clock.now.timeIntervalSince1970
        // Users who have been silent long enough owe nothing; forgetting them bounds the table.
        if spent.count > 1024 { spent = spent.filter { !allowance.isSettled($0.value, now: now) } }
        return allowance.spend(size, from: &spent[uid, default: .init()], now: now)
    }

    private func shared(_ work: Work) async -> Answer {
        await withCheckedContinuation { underWay[work]?.append($0) }
    }

    private func hash(_ request: HashRequest) async -> Answer {
        await withCheckedContinuation { done in
            threads.async { [sizeLimit] in done.resume(returning: Self.hash(request, sizeLimit: sizeLimit)) }
        }
    }

    private nonisolated static func hash(_ request: HashRequest, sizeLimit: Int64) -> Answer {
        var hash = SHA256()
        do {
            guard try request.file.state().identity == request.state.identity else {
                return .failure(Gap("it changed before it could be hashed"))
            }
            try request.file.read(limit: min(sizeLimit, request.state.identity.size)) {
                hash.update(bufferPointer: $0)
            }
            guard try request.file.state().identity == request.state.identity else {
                return .failure(Gap("it changed while it was hashed"))
            }
            return .success(Hex.encode(hash.finalize()))
        } catch {
            return .failure(Gap("\(error)"))
        }
    }

    private func takeTurn(_ uid: UInt32) async {
        if lines[uid]?.isBusy ?? false {
            await withCheckedContinuation { lines[uid]?.waiting.append($0) }
        } else {
            lines[uid, default: Line()].isBusy = true
        }
    }

    private func giveTurn(_ uid: UInt32) {
        if lines[uid]?.waiting.isEmpty ?? true {
            lines[uid] = nil
        } else {
            lines[uid]?.waiting.removeFirst().resume()
        }
    }

    private func takeThread() async {
        if freeThreads > 0 {
            freeThreads -= 1
        } else {
            await withCheckedContinuation { waitingForThread.append($0) }
        }
    }

    private func giveThread() {
        if waitingForThread.isEmpty { freeThreads += 1 } else { waitingForThread.removeFirst().resume() }
    }
}

/// One user asks for more hashing than is done for one user.
package struct Overload: Error, Hashable {}
