internal import ArgumentParser
internal import Bootstrap
package import Foundation
internal import IssuerDomain
internal import Logging
internal import SPIFFE

// Flags are judged as they are parsed, so a bad one never gets further than the usage error.

/// A duration flag.
package struct DurationArgument: ExpressibleByArgument, Sendable {
    package let duration: Duration

    package init?(argument: String) {
        guard let duration = DurationText.parse(argument) else { return nil }
        self.duration = duration
    }

    init(_ duration: Duration) { self.duration = duration }

    package var defaultValueDescription: String {
        let seconds = duration.components.seconds
        if seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        return seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds)s"
    }
}

/// An instant flag, RFC 3339.
package struct InstantArgument: ExpressibleByArgument, Sendable {
    package let date: Date

    package init?(argument: String) {
        guard let date = try? Date(argument, strategy: .iso8601) else { return nil }
        self.date = date
    }
}

extension SigningKeyType: ExpressibleByArgument {}

/// Text flags whose rule is worth telling: which one was broken.
enum Judged {
    static func spiffeID(_ text: String) throws -> SPIFFEID {
        do { return try SPIFFEID(text) } catch { throw ValidationError(error.message) }
    }

    static func trustDomain(_ text: String) throws -> TrustDomain {
        do { return try TrustDomain(text) } catch { throw ValidationError(error.message) }
    }

    static func logLevel(_ text: String) throws -> Logger.Level {
        guard let level = Logger.Level(rawValue: text) else {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(text)' is not a log level; use one of \(known)")
        }
        return level
    }

    static func selector(_ text: String) throws -> Selector {
        do {
            return try Selector(parsing: text)
        } catch { throw ValidationError("\(error)") }
    }
}
