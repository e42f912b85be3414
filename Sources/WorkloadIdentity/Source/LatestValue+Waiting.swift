internal import Synchronization

extension LatestValue {
    /// What is held now.
    func current<State: Sendable>() throws(WorkloadAPIError) -> State
    where Value == Result<State, WorkloadAPIError> {
        let snapshot = snapshot
        guard !snapshot.isClosed else { throw WorkloadAPIError(.closed, "the source was closed") }
        switch snapshot.value {
        case .success(let state): return state
        case .failure(let error): throw error
        case nil: throw WorkloadAPIError(.unavailable, "the endpoint has not answered yet")
        }
    }

    /// Waits until a state is good enough.
    ///
    /// - Parameters:
    ///   - timeout: How long.
    ///   - accept: Throws the reason why a state will not do.
    /// - Throws: The last reason, when the time is up or the task was cancelled; at once when waiting will not help.
    func wait<State: Sendable>(
        atMost timeout: Duration, for accept: @escaping @Sendable (State) throws(WorkloadAPIError) -> Void
    ) async throws(WorkloadAPIError) where Value == Result<State, WorkloadAPIError> {
        let reason = LatestValue<WorkloadAPIError>()
        let isReady = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.become(accept, reason: reason) }
            group.addTask {
                try? await Task.sleep(for: timeout)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
        guard !isReady else { return }
        if let last = reason.snapshot.value { throw last }
        throw WorkloadAPIError(
            .timedOut,
            Task.isCancelled ? "cancelled before the endpoint answered" : "the endpoint did not answer in time")
    }

    private func become<State: Sendable>(
        _ accept: (State) throws(WorkloadAPIError) -> Void, reason: LatestValue<WorkloadAPIError>
    ) async -> Bool where Value == Result<State, WorkloadAPIError> {
        var seen: UInt64 = 0
        while true {
            let snapshot = await change(after: seen)
            guard !snapshot.isClosed, snapshot.version > seen, let value = snapshot.value else { return false }
            seen = snapshot.version
            do throws(WorkloadAPIError) {
                try accept(try value.get())
                return true
            } catch {
                reason.set(error)
                if error.isFinal { return false }
            }
        }
    }
}

extension WorkloadAPIError {
    /// Whether the same request will be refused again (WLEP-22, WLEP-25).
    var isFinal: Bool { code == .invalidRequest || code == .unsupported }
}
