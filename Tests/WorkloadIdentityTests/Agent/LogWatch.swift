import Logging

/// A log whose lines a test can wait for.
final class LogWatch: Sendable {
    /// The messages, by their constant text.
    let messages = Ledger<String>()

    /// Everything written, with its metadata, as one text each.
    let lines = Ledger<String>()

    /// A logger that writes here.
    func logger() -> Logger {
        var logger = Logger(label: "test") { _ in Handler(watch: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let watch: LogWatch
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            watch.lines.add("\(event.message) \(event.metadata ?? [:])")
            watch.messages.add("\(event.message)")
        }
    }
}
