internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import IssuerServer
internal import Logging
internal import Platform
internal import SPIFFE

/// `mintmark server`.
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server", abstract: "Runs the issuer server.",
        subcommands: [Run.self, Validate.self, Config.self, AcceptRollbackCommand.self])

    /// Where the configuration is.
    struct File: ParsableArguments {
        @Option(help: ArgumentHelp("The configuration file.", valueName: "file"))
        var config = "/etc/mintmark/server.yaml"

        func load() async throws -> ServerSettings {
            try await ServerSettings(path: config, environment: ProcessInfo.processInfo.environment)
        }
    }

    /// `mintmark server run`.
    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs the issuer server until SIGINT or SIGTERM.",
            discussion: """
                EXAMPLES
                  mintmark server run --config /etc/mintmark/server.yaml
                  MINTMARK_SERVER_BIND_PORT=9443 mintmark server run --config server.yaml
                """)

        @OptionGroup var file: File

        @Option(help: ArgumentHelp("Written once agents and admins can connect.", valueName: "path"))
        var readyFile: String?

        func run() async throws {
            let settings = try await file.load()
            let logger = Running.prepare(threshold: settings.access.logThreshold)
            let (clock, files) = (SystemWallClock(), LocalFileSystem())
            let state = try StateFolder(settings.dataFolder, mode: 0o700, files: files)
            let ready = ReadyFile(readyFile, files: files)
            try ready.clear()
            try settings.prepareSocketFolder(files: files)
            let issuer = try await Issuer(
                settings.issuer(in: state), clock: clock, files: files, logger: logger)
            defer { issuer.close() }
            let announce = LoopService {
                guard await issuer.waitUntilListening(), let address = await issuer.listeningAddress else {
                    // The server that could not listen says why.
                    return try await clock.sleep(until: .distantFuture)
                }
                logger.info("ready", metadata: ["trust_domain": "\(settings.trustDomain)", "address": "\(address)"])
                try ready.write(
                    JSONValue.members([
                        "address": .string(address), "admin_socket": .string(settings.adminSocket.path),
                        "trust_domain": .string(settings.trustDomain.name),
                    ]).compactText)
                try await clock.sleep(until: .distantFuture)
            }
            try await Running.run(issuer.services() + [announce], logger: logger)
            try ready.clear()
        }
    }

    /// `mintmark server validate`.
    struct Validate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks a configuration without starting.",
            discussion: "EXAMPLE\n  mintmark server validate --config server.yaml")

        @OptionGroup var file: File

        func run() async throws {
            _ = try await file.load()
            Terminal.say("\(file.config) is valid")
        }
    }

    /// `mintmark server config`.
    struct Config: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists every configuration key with its default.",
            discussion: """
                Each key can be overridden by an environment variable: MINTMARK_SERVER_ and the key in capitals.

                EXAMPLE
                  mintmark server config --output yaml
                """)

        @OptionGroup var output: OutputOptions

        func run() throws { output.show(KeyRendering.render(ServerSettings.keys, prefix: "MINTMARK_SERVER")) }
    }
}
