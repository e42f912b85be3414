internal import Crypto
internal import Dispatch
internal import LinuxKernel
internal import Platform
internal import Synchronization

/// Hashes programs on threads of its own, without letting one owner of files take them from the others.
///
/// What comes over the bound is not hashed, and whoever asked says so; nothing ever waits for a place to ask.
final class ImageHasher: Sendable {
    enum Outcome: Sendable {
        case digest(String)
        case failed(Gap)
    }

    private struct Job: Sendable {
        let file: ExecutableFile
        let done: @Sendable (Outcome) -> Void
    }

    private struct State {
        var lines: [UInt32: [Job]] = [:]
        var busy: Set<UInt32> = []
        var waiting = 0
    }

    private static let places = 2
    private static let longestLine = 32
    private static let mostWaiting = 1024

    private let state = Mutex(State())
    private let threads = DispatchQueue(label: "mintmark.exec-journal.hashing", qos: .utility, attributes: .concurrent)
    private let sizeLimit: Int64

    init(sizeLimit: Int64) { self.sizeLimit = sizeLimit }

    /// Jobs that wait or run.
    var load: Int { state.withLock { $0.waiting + $0.busy.count } }

    /// Takes a file in line.
    ///
    /// - Parameters:
    ///   - file: What to hash.
    ///   - owner: Whose line it is.
    ///   - done: Called once, on another thread, if it was taken.
    /// - Returns: Why it was not taken.
    func hash(_ file: ExecutableFile, owner: UInt32, _ done: @escaping @Sendable (Outcome) -> Void) -> Gap? {
        guard file.size <= sizeLimit else { return Gap("the program is larger than is hashed (\(sizeLimit) bytes)") }
        let refusal: Gap? = state.withLock { state in
            guard state.waiting < Self.mostWaiting else { return Gap("too many programs wait to be hashed") }
            guard state.lines[owner]?.count ?? 0 < Self.longestLine else {
                return Gap("too many programs of uid \(owner) wait to be hashed")
            }
            state.lines[owner, default: []].append(Job(file: file, done: done))
            state.waiting += 1
            return nil
        }
        if refusal == nil { startNext() }
        return refusal
    }

    private func startNext() {
        while true {
            let next: (owner: UInt32, job: Job)? = state.withLock { state in
                guard state.busy.count < Self.places,
                    let owner = state.lines.keys.first(where: { !state.busy.contains($0) }),
                    var line = state.lines[owner], !line.isEmpty
                else { return nil }
                let job = line.removeFirst()
                state.lines[owner] = line.isEmpty ? nil : line
                state.waiting -= 1
                state.busy.insert(owner)
                return (owner, job)
            }
            guard let next else { return }
            threads.async { [self] in
                var hash = SHA256()
                do {
                    try next.job.file.read(limit: sizeLimit) { hash.update(bufferPointer: $0) }
                    next.job.done(.digest(Hex.encode(hash.finalize())))
                } catch {
                    next.job.done(.failed(Gap("the program could not be read (\(error))")))
                }
                state.withLock { _ = $0.busy.remove(next.owner) }
                startNext()
            }
        }
    }
}
