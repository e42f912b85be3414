internal import GRPCWire
internal import LinuxKernel
internal import Synchronization

/// One accepted connection.
///
/// Its state is behind one lock that is held for no longer than a write that does not block. One thread at a time
/// reads it and runs its handler; `isServed` says whether one does. When none does, the socket is armed.
package final class WorkloadConnection: Sendable {
    /// Who connected.
    package let peer: SocketPeer
    /// Whether the kernel itself pinned that process at connect, not we by its number.
    package let isPinnedByKernel: Bool

    /// The token of its events; no two connections have the same.
    let id: UInt64
    let account: UserAccount
    let server: WorkloadServer
    /// When a deadline may have passed, in nanoseconds since the server's start; never later than the first one.
    let due: Atomic<Int64>
    let state: Mutex<State>
    private let slot = Mutex<(any Sendable & AnyObject)?>(nil)

    struct State {
        var http2: HTTP2Connection
        /// Nil once the connection is over.
        var socket: ConnectedSocket?
        var calls: [Record] = []
        /// Bytes that the open calls keep.
        var callBytes = 0
        /// Whether a worker has it, or it waits for one in the user's queue.
        var isServed = true
        /// Whether the handler has not heard of it yet.
        var isNew = true
        /// Whether handlers are answering, whose output is written together.
        var isBatching = false
        var isWatched = false
        /// Whether it ends once everything is written.
        var isDraining = false
        var cut: CutReason?
        /// Whether a byte came whose sender is known; all that follow must be the connector's.
        var isAttributed = false

        var unsent: [UInt8] = []
        var unsentStart = 0
        /// What the account was told.
        var keptBytes = 0

        /// The challenges on the wire, oldest first, by random payload and running number.
        var challenges: [(payload: UInt64, number: UInt64)] = []
        var lastChallenge: UInt64 = 0

        let opened: SuspendingClock.Instant
        var heard: SuspendingClock.Instant
        var hasAskedForLife = false
        var writeStalled: SuspendingClock.Instant?

        mutating func removeCall(at index: Int) {
            callBytes -= calls[index].call.size
            calls.remove(at: index)
        }
    }

    /// A call that is open, and where it is in its round.
    struct Record {
        let call: WorkloadCall
        var wantsRound = true
        var isInRound = false
        var isGathered = false
        /// The challenge that has to be met; nil when it was.
        var awaited: UInt64?
        var challengeDue: SuspendingClock.Instant?
        var action: (@Sendable () -> Void)?
    }

    init(
        id: UInt64, socket: ConnectedSocket, peer: SocketPeer, isPinnedByKernel: Bool, account: UserAccount,
        server: WorkloadServer, now: SuspendingClock.Instant
    ) {
        (self.id, self.peer, self.isPinnedByKernel) = (id, peer, isPinnedByKernel)
        (self.account, self.server) = (account, server)
        due = Atomic(server.nanoseconds(now.advanced(by: server.settings.openingLimit)))
        state = Mutex(
            State(
                http2: HTTP2Connection(table: server.table, limits: server.settings.http2), socket: socket,
                opened: now, heard: now))
    }

    /// Something of the handler's own.
    package var context: (any Sendable & AnyObject)? {
        get { slot.withLock { $0 } }
        set { slot.withLock { $0 = newValue } }
    }

    /// Whether another line of the log may be about this user; the server's own lines are among those counted.
    package func mayLog() -> Bool { account.mayLog(now: server.now()) }

    /// Calls that are open.
    package var openCalls: [WorkloadCall] { state.withLock { $0.calls.map(\.call) } }

    /// Asks for a round on every open call of a streaming method, such as because there is something to push.
    ///
    /// Cheap, and from any thread; rounds that are asked for before they begin are one.
    package func poke() {
        state.withLock { state in
            // A call that gets one answer is not answered twice.
            let streams = state.calls.indices.filter { server.table.methods[state.calls[$0].call.method].isStreaming }
            guard !streams.isEmpty else { return }
            for index in streams { state.calls[index].wantsRound = true }
            attend(&state)
        }
    }

    /// Ends the connection, after what was sent on it, from any thread.
    ///
    /// - Parameter reason: For the log.
    package func close(reason: String) { cut(.handler(reason)) }

    /// Ends the connection because its process has ended, whoever may hold it now; from any thread.
    package func closeAfterExit() { cut(.processExited) }

    func cut(_ reason: CutReason) {
        state.withLock { state in
            guard state.cut == nil else { return }
            flush(&state)
            end(&state, reason)
        }
    }

    // MARK: Calls

    func isOver(_ call: WorkloadCall) -> Bool {
        state.withLock { state in !state.calls.contains { $0.call === call } }
    }

    func whenCutOff(_ call: WorkloadCall, _ action: @escaping @Sendable () -> Void) {
        let isKept = state.withLock { state in
            guard let index = state.calls.firstIndex(where: { $0.call === call }) else { return false }
            let earlier = state.calls[index].action
            state.calls[index].action = {
                earlier?()
                action()
            }
            return true
        }
        if !isKept { action() }
    }

    func send(_ message: [UInt8]?, on call: WorkloadCall, finish status: CallStatus?) -> Bool {
        let isOpen = state.withLock { state in
            guard state.cut == nil, let index = state.calls.firstIndex(where: { $0.call === call }) else {
                return false
            }
            if let message { state.http2.send(message, on: call.stream) }
            if let status {
                state.http2.finish(status, on: call.stream)
                state.removeCall(at: index)
            }
            if !state.isBatching {
                flush(&state)
                if !state.isServed, !state.unsent.isEmpty || state.cut != nil { attend(&state) }
            }
            return true
        }
        if isOpen, let status { server.count(call.method, status.code) }
        return isOpen
    }

    func requestRound(_ call: WorkloadCall) {
        state.withLock { state in
            guard let index = state.calls.firstIndex(where: { $0.call === call }) else { return }
            state.calls[index].wantsRound = true
            attend(&state)
        }
    }

    // MARK: Under the lock

    /// Has a worker look at the connection.
    ///
    /// A socket can be written nearly always, so asking for that is asking for a worker; when it cannot, there is
    /// nothing to be done before the peer has read.
    func attend(_ state: inout State) {
        guard !state.isServed else { return }
        arm(&state, writable: true)
    }

    func arm(_ state: inout State, writable: Bool) {
        guard let socket = state.socket else { return }
        // A peer that does not read what it has asked for is not asked for more.
        let readable = state.unsent.count - state.unsentStart < 64 << 10
        do throws(LinuxError) {
            try server.queue.arm(
                socket.descriptor, isNew: !state.isWatched, token: id, readable: readable,
                writable: writable || !state.unsent.isEmpty)
            state.isWatched = true
        } catch {
            end(&state, .systemError(error.description))
        }
    }

    /// Notes that the connection is over.
    ///
    /// A worker does the rest, because the socket is closed in its hands only.
    func end(_ state: inout State, _ reason: CutReason) {
        if state.cut == nil { state.cut = reason }
        state.socket?.shutDown()
    }

    /// Writes what there is, as far as the kernel has room.
    func flush(_ state: inout State) {
        guard let socket = state.socket else { return }
        if state.unsent.isEmpty {
            state.unsent = state.http2.takeOutput()
        } else if !state.http2.output.isEmpty {
            state.unsent += state.http2.takeOutput()
        }
        while state.unsentStart < state.unsent.count {
            do throws(LinuxError) {
                let sent = try socket.send(state.unsent, from: state.unsentStart)
                if sent == 0 { break }
                state.unsentStart += sent
                state.writeStalled = nil
            } catch {
                return end(&state, .closedByPeer)
            }
        }
        if state.unsentStart == state.unsent.count {
            state.unsent = []
            state.unsentStart = 0
            state.writeStalled = nil
        } else {
            if state.unsentStart >= 64 << 10 {
                state.unsent.removeFirst(state.unsentStart)
                state.unsentStart = 0
            }
            if state.writeStalled == nil {
                state.writeStalled = server.now()
                lower(server.now().advanced(by: server.settings.transferLimit))
            }
        }
        if let fault = state.http2.fault { return end(&state, .brokeProtocol(fault.rule)) }
        let unsent = state.unsent.count - state.unsentStart + state.http2.unsentBytes
        if unsent > server.settings.http2.unsent { return end(&state, .readerTooSlow) }
        if state.isDraining, unsent == 0 { return end(&state, .shutdown) }
        let kept = unsent + state.http2.keptBytes + state.callBytes
        if kept != state.keptBytes {
            let total = account.keep(kept - state.keptBytes)
            let isMore = kept > state.keptBytes
            state.keptBytes = kept
            if isMore, total > server.settings.bytesPerUser { end(&state, .userOverMemory) }
        }
    }

    /// Has the deadlines looked at no later than this.
    func lower(_ instant: SuspendingClock.Instant) {
        due.min(server.nanoseconds(instant), ordering: .relaxed)
    }
}
