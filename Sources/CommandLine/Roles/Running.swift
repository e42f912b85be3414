internal import Bootstrap
internal import GRPCCore
internal import LinuxKernel
internal import Logging
internal import Platform
internal import ServiceLifecycle
internal import UnixSignals

/// Runs long-lived parts until a signal, and stops them cleanly.
enum Running {
    /// How long calls under way may take to finish once a signal came.
    private static let patience = Duration.seconds(4)

    /// Prepares this process: secrets stay inside, and there are enough descriptors.
    static func prepare(logLevel: Logger.Level) -> Logger { prepare(threshold: LogThreshold(logLevel)) }

    /// The same, with a log level that can be changed.
    static func prepare(threshold: LogThreshold) -> Logger {
        LoggingSystem.bootstrap { _ in LineLogHandler(threshold: threshold, clock: SystemWallClock()) }
        let logger = Logger(label: "mintmark")
        do { try ProcessHardening.denyDumps() } catch {
            logger.warning("core dumps could not be turned off", metadata: ["error": "\(error)"])
        }
        DescriptorLimit.raise()
        return logger
    }

    /// Runs services until SIGINT or SIGTERM.
    ///
    /// - Throws: ``Failure`` when one of them ends by itself.
    static func run(_ services: [any Service], logger: Logger) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services.map {
                .init(
                    service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .cancelGroup)
            },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = patience
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch let failure as Failure {
            throw failure
        } catch let error as RuntimeError where error.cause is Failure {
            throw error.cause ?? error
        } catch is CancellationError {
            // A peer that never let go was cut when patience ended.
        } catch {
            throw Failure(.cannotCreate, "cannot serve: \(error)", hint: "see the message above")
        }
        logger.info("stopped")
    }
}
