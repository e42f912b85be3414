internal import Foundation
package import Logging
package import Platform
internal import Synchronization

/// One line a record on standard error: instant, level, message, then `key=value` facts in order of key.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private static let output = Mutex(())

    private let threshold: LogThreshold
    /// What one logger was told, apart from all others.
    private var ownLevel: Logger.Level?
    private let clock: any WallClock

    /// Creates a handler whose level can be changed from outside.
    ///
    /// - Parameters:
    ///   - threshold: The least severe level written.
    ///   - clock: Dates the lines.
    package init(threshold: LogThreshold, clock: any WallClock) { (self.threshold, self.clock) = (threshold, clock) }

    /// Creates a handler.
    ///
    /// - Parameters:
    ///   - level: The least severe level written.
    ///   - clock: Dates the lines.
    package init(level: Logger.Level, clock: any WallClock) {
        self.init(threshold: LogThreshold(level), clock: clock)
    }

    package var logLevel: Logger.Level {
        get { ownLevel ?? threshold.level }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let facts = metadata.merging(metadataProvider?.get() ?? [:]) { _, new in new }
            .merging(event.metadata ?? [:]) { _, new in new }
        let instant = clock.now.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        var line = "\(instant) \(event.level) \(event.message)"
        for (key, value) in facts.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(Self.quoted("\(value)"))" }
        // A log that cannot be written must not take the service down with it.
        Self.output.withLock { _ in try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8)) }
    }

    /// Quotes what would not be one word, and escapes what could forge a second line.
    private static func quoted(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") }
        guard !isPlain else { return text }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\n": quoted += "\\n"
            case "\u{0}"..<"\u{20}", "\u{7F}"..<"\u{A0}", "\u{2028}", "\u{2029}":
                quoted += "\\u{\(String(scalar.value, radix: 16))}"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
