internal import GRPCWire
internal import Synchronization

/// What one user's processes hold of what all share.
final class UserAccount: Sendable {
    let uid: UInt32
    private let state: Mutex<State>

    private struct State {
        var connections = 0
        var busy = 0
        var bytes = 0
        var lines = FloodBudget(FloodBudget.Rate(burst: 100, perSecond: 10))
        /// Ready connections that wait for one of the user's workers, from `next` on.
        var waiting: [WorkloadConnection] = []
        var next = 0
    }

    init(uid: UInt32) {
        self.uid = uid
        state = Mutex(State())
    }

    func admit(limit: Int) -> Bool {
        state.withLock {
            guard $0.connections < limit else { return false }
            $0.connections += 1
            return true
        }
    }

    /// - Returns: Whether the user has no connection left.
    func dismiss() -> Bool {
        state.withLock {
            $0.connections -= 1
            return $0.connections == 0
        }
    }

    /// Takes one of the user's workers for a connection, or puts the connection into the queue.
    func enter(_ connection: WorkloadConnection, limit: Int) -> Bool {
        state.withLock {
            guard $0.busy < limit else {
                $0.waiting.append(connection)
                return false
            }
            $0.busy += 1
            return true
        }
    }

    /// Gives the worker to the next connection in the queue, or back.
    func leave() -> WorkloadConnection? {
        state.withLock {
            guard $0.next < $0.waiting.count else {
                $0.busy -= 1
                return nil
            }
            let connection = $0.waiting[$0.next]
            $0.next += 1
            if $0.next == $0.waiting.count || $0.next >= 1024 {
                $0.waiting.removeFirst($0.next)
                $0.next = 0
            }
            return connection
        }
    }

    /// Notes that more or fewer bytes are kept.
    ///
    /// - Returns: How many there are now.
    func keep(_ change: Int) -> Int {
        state.withLock {
            $0.bytes += change
            return $0.bytes
        }
    }

    /// Whether another line of the log may be about this user.
    func mayLog(now: SuspendingClock.Instant) -> Bool { state.withLock { $0.lines.spend(now: now) } }
}
