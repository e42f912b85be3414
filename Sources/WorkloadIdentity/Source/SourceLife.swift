internal import Synchronization

/// The background work of a source: begins with it, and ends when it is closed or let go.
///
/// A source is started by one call and used from anywhere, so it cannot live in its caller's task group.
final class SourceLife: Sendable {
    private let task: Task<Void, Never>
    private let onClose: @Sendable () -> Void

    init(_ work: @escaping @Sendable () async -> Void, onClose: @escaping @Sendable () -> Void) {
        task = Task { await work() }
        self.onClose = onClose
    }

    deinit {
        task.cancel()
        onClose()
    }

    /// Stops the work, and returns when it has stopped.
    func close() async {
        onClose()
        task.cancel()
        await task.value
    }
}
