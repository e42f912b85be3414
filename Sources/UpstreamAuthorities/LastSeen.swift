internal import Synchronization

/// What was told last, so that nothing is told twice in a row.
final class LastSeen<Value: Hashable & Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)

    /// Notes a value.
    ///
    /// - Returns: Whether it differs from the one before.
    func isNews(_ new: Value) -> Bool {
        value.withLock { value in
            defer { value = new }
            return value != new
        }
    }
}
