/// Bounds how many executables are hashed at once, so that large ones cannot take every thread.
actor HashingBudget {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(places: Int) { free = places }

    /// Runs work off this actor once a place is free, in order of arrival.
    nonisolated func withPlace<Value: Sendable>(_ work: @Sendable () -> Value) async -> Value {
        await take()
        let value = work()
        await give()
        return value
    }

    private func take() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    private func give() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
