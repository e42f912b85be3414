package import Logging
internal import Synchronization

/// The least severe level that a process logs, which can be changed while it runs.
package final class LogThreshold: Sendable {
    /// What the process was started with.
    package let launch: Logger.Level
    private let current: Mutex<Logger.Level>

    /// Creates a threshold.
    ///
    /// - Parameter level: What holds until somebody says otherwise.
    package init(_ level: Logger.Level) {
        launch = level
        current = Mutex(level)
    }

    /// The level now.
    package var level: Logger.Level {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }
}
