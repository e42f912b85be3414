internal import Crypto
internal import Dispatch
internal import LinuxKernel
internal import Platform

/// Hashes executables without letting one user take the machine from the others.
///
/// The work runs on threads of its own, never on those that serve calls. A user has one file hashed at a time and a
/// bounded line of others; callers who ask for the same file at the same moment share one answer.
actor HashingBudget {
    /// What one line is full with.
    private static let longestLine = 64

    private struct Line {
        var isBusy = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let threads = DispatchQueue(label: "mintmark.hashing", qos: .utility, attributes: .concurrent)
    private let sizeLimit: Int64
    private var freeThreads: Int
    private var waitingForThread: [CheckedContinuation<Void, Never>] = []
    private var lines: [UInt32: Line] = [:]
    private var underWay: [FileIdentity: [CheckedContinuation<String?, Never>]] = [:]

    /// Creates a budget.
    ///
    /// - Parameters:
    ///   - places: How many files are hashed at once, by all users together.
    ///   - sizeLimit: The largest file hashed, in bytes.
    init(places: Int, sizeLimit: Int64) { (freeThreads, self.sizeLimit) = (places, sizeLimit) }

    /// The SHA-256 of an executable.
    ///
    /// - Parameters:
    ///   - file: The executable.
    ///   - uid: Whose turn it takes.
    /// - Returns: Lower-case hex, or nil when the file is too large or cannot be read.
    /// - Throws: ``Overload`` when that user already has too much in line.
    func digest(of file: ExecutableFile, for uid: UInt32) async throws(Overload) -> String? {
        guard file.size <= sizeLimit else { return nil }
        if underWay[file.identity] != nil { return await shared(file) }
        guard (lines[uid]?.waiting.count ?? 0) < Self.longestLine else { throw Overload() }
        await takeTurn(uid)
        defer { giveTurn(uid) }
        await takeThread()
        // Shared only from here on: nobody waits in another user's line.
        if underWay[file.identity] != nil {
            giveThread()
            return await shared(file)
        }
        underWay[file.identity] = []
        let digest = await hash(file)
        giveThread()
        for caller in underWay.removeValue(forKey: file.identity) ?? [] { caller.resume(returning: digest) }
        return digest
    }

    private func shared(_ file: ExecutableFile) async -> String? {
        await withCheckedContinuation { underWay[file.identity]?.append($0) }
    }

    private func hash(_ file: ExecutableFile) async -> String? {
        await withCheckedContinuation { done in
            threads.async { [sizeLimit] in
                var hash = SHA256()
                do {
                    try file.read(limit: sizeLimit) { hash.update(bufferPointer: $0) }
                    done.resume(returning: Hex.encode(hash.finalize()))
                } catch {
                    done.resume(returning: nil)
                }
            }
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
struct Overload: Error, Hashable {}
