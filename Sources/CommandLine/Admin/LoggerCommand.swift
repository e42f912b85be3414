internal import ArgumentParser
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark logger`.
struct LoggerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logger", abstract: "Shows and changes how much the server logs, while it runs.",
        subcommands: [Get.self, Set.self, Reset.self], aliases: ["log-level"])

    private typealias Client = Spire_Api_Server_Logger_V1_Logger.Client<HTTP2ClientTransport.Posix>

    /// The levels that the server's API has words for.
    enum Level: String, CaseIterable, ExpressibleByArgument {
        case trace
        case debug
        case info
        case warning
        case error
        case critical

        var wire: Spire_Api_Types_LogLevel {
            switch self {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .warning: .warn
            case .error: .error
            case .critical: .fatal
            }
        }

        init?(wire: Spire_Api_Types_LogLevel) {
            switch wire {
            case .trace: self = .trace
            case .debug: self = .debug
            case .info: self = .info
            case .warn: self = .warning
            case .error: self = .error
            case .fatal, .panic: self = .critical
            case .unspecified, .UNRECOGNIZED: return nil
            }
        }
    }

    private static func rendering(_ logger: Spire_Api_Types_Logger) -> Rendering {
        let current = Level(wire: logger.currentLevel)?.rawValue ?? "unknown"
        let launch = Level(wire: logger.launchLevel)?.rawValue ?? "unknown"
        return Rendering(
            .members(["current_level": .string(current), "launch_level": .string(launch)]),
            table: TableText.fields([("Level", current), ("At start", launch)]))
    }

    /// `mintmark logger get`.
    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows the log level.", discussion: "EXAMPLE\n  mintmark logger get")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            output.show(rendering(try await admin.withServer { try await Client(wrapping: $0).getLogger(.init()) }))
        }
    }

    /// `mintmark logger set`.
    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Changes the log level until the server ends.", discussion: "EXAMPLE\n  mintmark logger set debug"
        )

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "trace, debug, info, warning, error or critical.") var level: Level

        func run() async throws {
            let request = Spire_Api_Server_Logger_V1_SetLogLevelRequest.with { $0.newLevel = level.wire }
            output.show(rendering(try await admin.withServer { try await Client(wrapping: $0).setLogLevel(request) }))
        }
    }

    /// `mintmark logger reset`.
    struct Reset: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Goes back to the level that the server was started with.",
            discussion: "EXAMPLE\n  mintmark logger reset")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            output.show(
                rendering(try await admin.withServer { try await Client(wrapping: $0).resetLogLevel(.init()) }))
        }
    }
}
