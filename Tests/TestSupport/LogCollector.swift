package import Logging
internal import Synchronization

/// What was logged, for tests to read.
package final class LogCollector: Sendable {
    /// One record.
    package struct Record: Sendable {
        package let level: Logger.Level
        package let message: String
        package let metadata: Logger.Metadata
    }

    private let guarded = Mutex<[Record]>([])

    package init() {}

    /// Every record so far, in order.
    package var records: [Record] { guarded.withLock { $0 } }

    /// The messages at one level and above, in order.
    package func messages(from level: Logger.Level = .trace) -> [String] {
        records.filter { $0.level >= level }.map(\.message)
    }

    /// A logger that writes here.
    package func logger(_ label: String = "test", level: Logger.Level = .trace) -> Logger {
        var logger = Logger(label: label) { _ in CollectingLogHandler(self) }
        logger.logLevel = level
        return logger
    }

    fileprivate func append(_ record: Record) { guarded.withLock { $0.append(record) } }
}

/// Keeps records in a ``LogCollector``.
package struct CollectingLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel = Logger.Level.trace

    private let collector: LogCollector

    /// Writes to a collector.
    package init(_ collector: LogCollector) { self.collector = collector }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        collector.append(
            LogCollector.Record(
                level: event.level, message: "\(event.message)",
                metadata: metadata.merging(metadataProvider?.get() ?? [:]) { _, new in new }
                    .merging(event.metadata ?? [:]) { _, new in new }))
    }
}
