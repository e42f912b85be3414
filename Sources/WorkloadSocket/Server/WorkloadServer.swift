internal import Foundation
internal import Glibc
package import GRPCWire
package import LinuxKernel
package import Logging
package import Platform
internal import Synchronization

/// Serves gRPC on a Unix socket to processes it knows.
///
/// A few threads wait on one epoll set; whichever gets a connection's event reads it, runs the handler and writes. A
/// supervisor's thread looks at deadlines. There is no other thread and no hop between them.
package final class WorkloadServer: Sendable {
    package let settings: SocketSettings
    let table: MethodTable
    let queue: EventQueue
    let handler: any CallHandler
    let logger: Logger

    private let listener: ListeningSocket
    private let clock: @Sendable () -> SuspendingClock.Instant
    private let epoch: SuspendingClock.Instant
    private let entropy: Mutex<any Entropy>
    private let shared: Mutex<Shared>
    private let counters = Mutex(SocketCounters())
    /// How many workers wait for an event, and how often one has got one.
    private let idleWorkers = Atomic<Int>(0)
    private let served = Atomic<Int>(0)

    private struct Shared {
        var connections: [UInt64: WorkloadConnection] = [:]
        var accounts: [UInt32: UserAccount] = [:]
        var lastID: UInt64 = 0
        var isAcceptingPaused = false
        var pauseLines = FloodBudget(FloodBudget.Rate(burst: 5, perSecond: 1))
        var workers = 0
        var drainDeadline: SuspendingClock.Instant?
        var hasStarted = false
        var hasStopped = false
        var whenStopped: [CheckedContinuation<Void, Never>] = []
    }

    /// How many users without a connection are remembered.
    private static let accountLimit = 1024

    /// The token of the listening socket; connections have larger ones.
    private static let listenerToken: UInt64 = 0

    /// - Parameters:
    ///   - listener: Where to accept.
    ///   - table: The methods.
    ///   - settings: The bounds.
    ///   - handler: Is given connections and calls.
    ///   - entropy: Makes challenges that cannot be guessed.
    ///   - logger: Gets a line for connections that ended badly, a few for each user.
    ///   - clock: For deadlines and budgets.
    /// - Throws: ``LinuxError`` when there are no descriptors for it.
    package init(
        listener: ListeningSocket, table: MethodTable, settings: SocketSettings, handler: any CallHandler,
        entropy: any Entropy, logger: Logger, clock: @escaping @Sendable () -> SuspendingClock.Instant = systemClock
    ) throws(LinuxError) {
        (self.listener, self.table, self.settings) = (listener, table, settings)
        (self.handler, self.logger, self.clock) = (handler, logger, clock)
        self.entropy = Mutex(entropy)
        epoch = clock()
        queue = try EventQueue()
        shared = Mutex(Shared())
    }

    /// The machine's clock of time that it was awake, so that nobody is found silent for having slept with us.
    package static var systemClock: @Sendable () -> SuspendingClock.Instant {
        {
            let clock = SuspendingClock()
            return clock.now
        }
    }

    /// What has happened since the start.
    package var snapshot: SocketCounters {
        let (open, workers) = shared.withLock { ($0.connections.count, $0.workers) }
        return counters.withLock {
            $0.open = open
            $0.workers = workers
            return $0
        }
    }

    /// The connections that are open at the moment, such as to poke them.
    package var connections: [WorkloadConnection] { shared.withLock { Array($0.connections.values) } }

    /// Serves until ``shutDown(within:)`` is done.
    ///
    /// - Throws: ``LinuxError`` when the listening socket cannot be waited for.
    package func run() async throws(LinuxError) {
        try start()
        await stopped()
    }

    /// Starts the threads; only the first time.
    ///
    /// - Throws: ``LinuxError`` when the listening socket cannot be waited for.
    package func start() throws(LinuxError) {
        let isFirst = shared.withLock { shared in
            defer { shared.hasStarted = true }
            return !shared.hasStarted
        }
        guard isFirst else { return }
        try queue.arm(listener.descriptor, isNew: true, token: Self.listenerToken, readable: true, writable: false)
        startWorkers(settings.workers)
        startThread("supervisor") { self.supervise() }
    }

    /// Returns once ``shutDown(within:)`` is done.
    package func stopped() async {
        await withCheckedContinuation { continuation in
            let isOver = shared.withLock { shared in
                if !shared.hasStopped { shared.whenStopped.append(continuation) }
                return shared.hasStopped
            }
            if isOver { continuation.resume() }
        }
    }

    /// Stops accepting, tells the clients, ends their calls as unavailable, and has `run()` return.
    ///
    /// - Parameter patience: How long clients may take to read what they are told.
    package func shutDown(within patience: Duration) {
        let deadline = now().advanced(by: patience)
        let isFirst = shared.withLock {
            guard $0.drainDeadline == nil else { return false }
            $0.drainDeadline = deadline
            return true
        }
        guard isFirst else { return }
        listener.refuse()
        for connection in connections { for action in connection.drain() { action() } }
    }

    func now() -> SuspendingClock.Instant { clock() }

    /// An instant as a number that can be compared without a lock.
    func nanoseconds(_ instant: SuspendingClock.Instant) -> Int64 {
        let (seconds, attoseconds) = epoch.duration(to: instant).components
        // Timeouts are at most 99999999 hours, which is more than 64 bits hold in nanoseconds.
        guard seconds < 1 << 32 else { return .max }
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    func drawChallenge() -> UInt64 { entropy.withLock { $0.next() } }

    func count(_ method: Int?, _ code: CallStatus.Code) {
        counters.withLock { $0.calls[SocketCounters.CallKey(method: method, code: code), default: 0] += 1 }
    }

    // MARK: Workers

    private func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.name = "workload-\(name)"
        thread.stackSize = 1 << 20
        thread.start()
    }

    private func startWorkers(_ count: Int) {
        shared.withLock { $0.workers += count }
        for _ in 0..<count { startThread("worker") { self.work() } }
    }

    /// A worker's life.
    private func work() {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            idleWorkers.add(1, ordering: .relaxed)
            let event = try? queue.wait()
            idleWorkers.subtract(1, ordering: .relaxed)
            served.add(1, ordering: .relaxed)
            switch event {
            case .ready(Self.listenerToken): accept(&buffer)
            case .ready(let token):
                // One that is gone has left an event behind.
                guard let connection = shared.withLock({ $0.connections[token] }), connection.claim() else { continue }
                enter(connection, &buffer)
            case .woken, .timeout, nil:
                // Nothing can be waited for any more.
                shared.withLock { $0.workers -= 1 }
                return
            }
        }
    }

    /// Serves a connection unless its user has enough workers, and then what waits for this one.
    private func enter(_ connection: WorkloadConnection, _ buffer: inout [UInt8]) {
        let account = connection.account
        guard account.enter(connection, limit: max(1, settings.workers / 2)) else { return }
        var next: WorkloadConnection? = connection
        while let connection = next {
            serve(connection, &buffer)
            served.add(1, ordering: .relaxed)
            next = account.leave()
        }
    }

    /// Does what there is to do for a connection that this thread has claimed.
    private func serve(_ connection: WorkloadConnection, _ buffer: inout [UInt8]) {
        guard let (socket, isNew) = connection.begin() else { return }
        if isNew { handler.accepted(connection) }
        var gathered: [WorkloadCall] = []
        // After a while others are served; what is left to read is told of again.
        var reads = 16
        while true {
            var read: Result<ConnectedSocket.Received?, LinuxError> = .success(nil)
            if reads > 0 {
                reads -= 1
                read = Result { () throws(LinuxError) in try socket.receive(into: &buffer) }
            }
            let step = connection.advance(read, buffer, gathered: gathered)
            for action in step.actions { action() }
            if let reason = step.over { return dismiss(connection, reason) }
            if step.isNothing { return }
            for call in step.answer { handler.answer(call) }
            if !step.answer.isEmpty { connection.flushAnswers() }
            if !step.gather.isEmpty { handler.gather(step.gather) }
            gathered = step.gather
            // An answer may have closed it, and only a step notices; but there is nothing to read for nobody.
            if gathered.isEmpty { reads = 0 }
        }
    }

    // MARK: Connections

    private func accept(_ buffer: inout [UInt8]) {
        var accepted: (socket: ConnectedSocket, credentials: PeerCredentials)?
        var isPaused = false
        do throws(LinuxError) {
            if case .connection(let socket, let credentials) = try listener.accept() {
                accepted = (socket, credentials)
            }
        } catch {
            guard shared.withLock({ $0.drainDeadline == nil }) else { return }
            isPaused = true
            counters.withLock { $0.acceptPauses += 1 }
            let now = now()
            if shared.withLock({ $0.pauseLines.spend(now: now) }) {
                logger.warning("accepting is paused", metadata: ["error": "\(error)"])
            }
        }
        // At once, so that another worker takes the next one while this one serves.
        resumeAccepting(isPaused: isPaused)
        guard let accepted, let connection = admit(accepted.socket, accepted.credentials) else { return }
        // The server's SETTINGS, for which some clients wait.
        connection.flushAnswers()
        enter(connection, &buffer)
    }

    private func resumeAccepting(isPaused: Bool) {
        let isOpen = shared.withLock {
            $0.isAcceptingPaused = isPaused
            return $0.drainDeadline == nil && !isPaused
        }
        guard isOpen else { return }
        try? queue.arm(
            listener.descriptor, isNew: false, token: Self.listenerToken, readable: true, writable: false)
    }

    /// Makes a connection of a socket, within the limits.
    private func admit(_ socket: ConnectedSocket, _ credentials: PeerCredentials) -> WorkloadConnection? {
        let account = shared.withLock { shared -> Result<UserAccount, RefusedConnection> in
            guard shared.drainDeadline == nil, shared.connections.count < settings.connections else {
                return .failure(RefusedConnection(reason: .totalLimit))
            }
            let account = shared.accounts[credentials.uid] ?? UserAccount(uid: credentials.uid)
            guard account.admit(limit: settings.connectionsPerUser) else {
                return .failure(RefusedConnection(reason: .userLimit))
            }
            shared.accounts[credentials.uid] = account
            return .success(account)
        }
        switch account {
        case .failure(let refusal):
            counters.withLock { $0.refused[refusal.reason, default: 0] += 1 }
            return nil
        case .success(let account):
            let (handle, isPinned): (ProcessHandle, Bool)
            do throws(LinuxError) {
                (handle, isPinned) = try socket.peer(credentials)
            } catch {
                release(account)
                let isShort = error.code == EMFILE || error.code == ENFILE
                counters.withLock { $0.refused[isShort ? .totalLimit : .peerGone, default: 0] += 1 }
                return nil
            }
            counters.withLock { $0.accepted += 1 }
            let id = shared.withLock {
                $0.lastID += 1
                return $0.lastID
            }
            let connection = WorkloadConnection(
                id: id, socket: socket, peer: SocketPeer(credentials: credentials, handle: handle),
                isPinnedByKernel: isPinned, account: account, server: self, now: now())
            shared.withLock { $0.connections[id] = connection }
            return connection
        }
    }

    private struct RefusedConnection: Error { let reason: SocketCounters.Refusal }

    private func dismiss(_ connection: WorkloadConnection, _ reason: CutReason) {
        _ = shared.withLock { $0.connections.removeValue(forKey: connection.id) }
        counters.withLock { $0.ended[reason.label, default: 0] += 1 }
        let level: Logger.Level = reason.isRemarkable && connection.account.mayLog(now: now()) ? .notice : .debug
        if level >= logger.logLevel {
            logger.log(
                level: level, "connection ended",
                metadata: [
                    "reason": "\(reason.explanation)", "pid": "\(connection.peer.credentials.pid)",
                    "uid": "\(connection.peer.credentials.uid)",
                ])
        }
        release(connection.account)
        handler.closed(connection)
    }

    private func release(_ account: UserAccount) {
        shared.withLock { shared in
            // Kept for a while, so that a user who comes back does not begin with a new budget of lines.
            if account.dismiss(), shared.accounts.count > Self.accountLimit { shared.accounts[account.uid] = nil }
        }
    }

    // MARK: Supervision

    /// The supervisor's life: deadlines, workers that are stuck, and the end.
    private func supervise() {
        var servedBefore = -1
        while true {
            Thread.sleep(forTimeInterval: settings.tick.timeInterval)
            let now = now()
            expire(now)
            let servedNow = served.load(ordering: .relaxed)
            if idleWorkers.load(ordering: .relaxed) == 0, servedNow == servedBefore { addWorkers() }
            servedBefore = servedNow
            let (isPaused, deadline, isEmpty) = shared.withLock {
                ($0.isAcceptingPaused, $0.drainDeadline, $0.connections.isEmpty)
            }
            if isPaused { resumeAccepting(isPaused: false) }
            guard let deadline else { continue }
            if isEmpty || deadline <= now { return stop() }
        }
    }

    private func expire(_ now: SuspendingClock.Instant) {
        let instant = nanoseconds(now)
        let due = shared.withLock { shared in
            shared.connections.values.filter { $0.due.load(ordering: .relaxed) <= instant }
        }
        for connection in due { for action in connection.expire(now: now) { action() } }
    }

    private func addWorkers() {
        let room = settings.workerLimit - shared.withLock { $0.workers }
        guard room > 0 else { return }
        logger.warning("all workers are stuck; starting more")
        startWorkers(min(room, settings.workers))
    }

    /// Lets the workers go, and whoever waits for it.
    private func stop() {
        for connection in connections { connection.cut(.shutdown) }
        // The workers tell the handler of each; one that is stuck is not waited for.
        var naps = 100
        while naps > 0, !connections.isEmpty {
            Thread.sleep(forTimeInterval: 0.01)
            naps -= 1
        }
        queue.wakeAll()
        let waiting = shared.withLock { shared in
            shared.connections = [:]
            shared.hasStopped = true
            defer { shared.whenStopped = [] }
            return shared.whenStopped
        }
        for continuation in waiting { continuation.resume() }
    }
}
