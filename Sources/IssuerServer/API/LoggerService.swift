internal import Bootstrap
internal import GRPCCore
internal import IssuerAPIProtos
internal import Logging
internal import SwiftProtobuf
internal import Synchronization

/// `spire.api.server.logger.v1.Logger`.
struct LoggerService: Spire_Api_Server_Logger_V1_Logger.SimpleServiceProtocol {
    let access: AccessControl
    let threshold: LogThreshold
    let logger: Logger
    private let word = Word()

    /// By which of its names on the wire the level is called: the wire has one more above all others than there are.
    private final class Word: Sendable {
        let isPanic = Mutex(false)
    }

    init(access: AccessControl, threshold: LogThreshold, logger: Logger) {
        (self.access, self.threshold, self.logger) = (access, threshold, logger)
    }

    func getLogger(
        request: Spire_Api_Server_Logger_V1_GetLoggerRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Logger {
        try access.requireLocal(context)
        return now
    }

    func setLogLevel(
        request: Spire_Api_Server_Logger_V1_SetLogLevelRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Logger {
        try access.requireLocal(context)
        guard let level = Logger.Level(wire: request.newLevel) else {
            throw RPCError(code: .invalidArgument, message: "new_level names no log level")
        }
        return try change(to: level, isPanic: request.newLevel == .panic, context)
    }

    func resetLogLevel(
        request: Spire_Api_Server_Logger_V1_ResetLogLevelRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Logger {
        try access.requireLocal(context)
        return try change(to: threshold.launch, context)
    }

    private func change(
        to level: Logger.Level, isPanic: Bool = false, _ context: ServerContext
    ) throws(RPCError) -> Spire_Api_Types_Logger {
        let principal = try access.resolved(context).principal
        threshold.level = level
        word.isPanic.withLock { $0 = isPanic }
        logger.notice("log level changed", metadata: ["level": "\(level)", "principal": "\(principal)"])
        return now
    }

    private var now: Spire_Api_Types_Logger {
        .with {
            $0.currentLevel =
                threshold.level == .critical && word.isPanic.withLock { $0 } ? .panic : .init(threshold.level)
            $0.launchLevel = .init(threshold.launch)
        }
    }
}

extension Logger.Level {
    /// The level that is closest; nil for none and for one that is unknown.
    init?(wire: Spire_Api_Types_LogLevel) {
        switch wire {
        case .panic, .fatal: self = .critical
        case .error: self = .error
        case .warn: self = .warning
        case .info: self = .info
        case .debug: self = .debug
        case .trace: self = .trace
        case .unspecified, .UNRECOGNIZED: return nil
        }
    }
}

extension Spire_Api_Types_LogLevel {
    /// The level that is closest.
    init(_ level: Logger.Level) {
        switch level {
        case .critical: self = .fatal
        case .error: self = .error
        case .warning: self = .warn
        case .notice, .info: self = .info
        case .debug: self = .debug
        case .trace: self = .trace
        }
    }
}
