internal import Synchronization

/// Runs work to its end on the calling thread, for a caller that cannot wait.
///
/// The X.509 library's own verification is asynchronous; ours is not.
func finish<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) -> Value {
    let result = Result<Value>()
    Task(executorPreference: InlineExecutor()) {
        let value = await work()
        result.value.withLock { $0 = value }
    }
    guard let value = result.value.withLock({ $0 }) else { fatalError("the work waits for something else") }
    return value
}

private final class Result<Value: Sendable>: Sendable {
    let value = Mutex<Value?>(nil)
}

/// Runs each job at once, where it is handed in.
private final class InlineExecutor: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        UnownedJob(job).runSynchronously(on: asUnownedTaskExecutor())
    }
}
