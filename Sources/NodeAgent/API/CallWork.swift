internal import Synchronization
package import WorkloadSocket

/// A call as work that is done for it elsewhere sees it.
package protocol EndsEarly: Sendable {
    var isOver: Bool { get }

    /// Runs an action once when it ends before it was answered; at once if it is over already.
    func whenCutOff(_ action: @escaping @Sendable () -> Void)
}

extension WorkloadCall: EndsEarly {}

/// What is being done for a call elsewhere: one thing after the other, and nothing any more once the call is cut off.
package final class CallWork: Sendable {
    private struct State {
        var task: Task<Void, Never>?
        var isWatching = false
    }

    private let state = Mutex(State())

    package init() {}

    /// Starts something; what was started before has ended, or is about to.
    package func start(for call: some EndsEarly, _ work: @escaping @Sendable () async -> Void) {
        let task = Task { await work() }
        let isWatched = state.withLock { state in
            defer { state.isWatching = true }
            state.task = task
            return state.isWatching
        }
        // Once for each call: a stream has work done for it again and again.
        guard isWatched else { return call.whenCutOff { [weak self] in self?.state.withLock { $0.task }?.cancel() } }
        if call.isOver { task.cancel() }
    }
}
