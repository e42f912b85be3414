internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import Logging
internal import NodeAgent
internal import Platform
internal import SPIFFE

/// `mintmark agent`.
struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Runs a node agent, and shows those that the server knows.",
        subcommands: [
            Run.self, Validate.self, Config.self, AgentListCommand.self, AgentShowCommand.self, AgentCountCommand.self,
            AgentBanCommand.self, AgentEvictCommand.self, AgentPurgeCommand.self, GuardianSubcommand.self,
        ])

    /// Where the configuration is.
    struct File: ParsableArguments {
        @Option(help: ArgumentHelp("The configuration file.", valueName: "file"))
        var config = "/etc/mintmark/agent.yaml"

        func load() async throws -> AgentSettings {
            try await AgentSettings(path: config, environment: ProcessInfo.processInfo.environment)
        }
    }

    /// `mintmark agent run`.
    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs a node agent until SIGINT or SIGTERM.",
            discussion: """
                The first start needs the server's bundle, and a join token or a 'node_attestor' in the configuration; later
                ones use what the first one kept.

                EXAMPLES
                  mintmark agent run --config agent.yaml --join-token-file token --trust-bundle bundle.pem
                  mintmark agent run --config agent.yaml --trust-bundle-url https://bundles.example.org/example.org.pem
                  mintmark agent run --config agent.yaml
                """)

        @OptionGroup var file: File

        @Option(
            help: ArgumentHelp(
                "A one-time join token. Others on this machine can see it; prefer a file.", valueName: "token"))
        var joinToken: String?

        @Option(help: ArgumentHelp("A file with a one-time join token.", valueName: "file"))
        var joinTokenFile: String?

        @Option(help: ArgumentHelp("A file with the server's bundle, PEM or SPIFFE.", valueName: "file"))
        var trustBundle: String?

        @Option(help: ArgumentHelp("Where to fetch the server's bundle, PEM or SPIFFE; https.", valueName: "url"))
        var trustBundleURL: String?

        @Option(help: ArgumentHelp("Written once SVIDs can be fetched.", valueName: "path"))
        var readyFile: String?

        func run() async throws {
            guard joinToken == nil || joinTokenFile == nil else {
                throw ValidationError("'--join-token' and '--join-token-file' exclude each other")
            }
            guard trustBundle == nil || trustBundleURL == nil else {
                throw ValidationError("'--trust-bundle' and '--trust-bundle-url' exclude each other")
            }
            let settings = try await file.load()
            let logger = Running.prepare(logLevel: settings.logLevel)
            let (clock, files) = (SystemWallClock(), LocalFileSystem())
            let folder = try StateFolder(settings.dataFolder, mode: 0o700, files: files)
            let bootstrap = try BootstrapBundle(
                file: trustBundle, url: trustBundleURL, settings: settings, files: files)
            let holdsBundle = Agent.holdsBundle(in: folder, files: files)
            let ready = ReadyFile(readyFile, files: files)
            try ready.clear()
            try SettingReader.createFolder(holding: settings.workloadSocket, files: files)
            try SettingReader.createFolder(holding: settings.adminSocket, files: files)
            var configuration = AgentConfiguration(
                trustDomain: settings.trustDomain, workloadSocket: settings.workloadSocket,
                adminSocket: settings.adminSocket, executableSizeLimit: settings.executableSizeLimit,
                journal: settings.journal)
            configuration.metrics = settings.metrics
            let rebootstrap = try bootstrap.plan(
                after: settings.rebootstrapDelay, isDemanded: settings.rebootstrapMode == .always)
            if rebootstrap == nil, settings.rebootstrapMode == .auto {
                logger.warning(
                    "rebootstrap_mode auto has no effect",
                    metadata: ["hint": "set node_attestor, and trust_bundle or trust_bundle_url"])
            }
            let agent = try Agent(
                configuration,
                remote: RemoteIssuer(
                    address: settings.serverAddress,
                    bootstrapBundle: try await bootstrap.atStart(isKnown: holdsBundle),
                    joinToken: try FirstContact.token(
                        joinToken, file: joinTokenFile ?? settings.joinTokenFile, files: files),
                    prover: settings.prover,
                    folder: folder, rebootstrap: rebootstrap),
                clock: clock, files: files, logger: logger)
            defer { agent.close() }
            let endpoint = WorkloadEndpoint.unix(path: settings.workloadSocket.path)
            let services = agent.services {
                logger.info(
                    "ready",
                    metadata: ["trust_domain": "\(settings.trustDomain)", "workload.endpoint": "\(endpoint)"])
                try ready.write(JSONValue.members(["workload_endpoint": .string("\(endpoint)")]).compactText)
            }
            try await Running.run(services, logger: logger)
            try ready.clear()
        }
    }

    /// `mintmark agent validate`.
    struct Validate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks a configuration without starting.",
            discussion: "EXAMPLE\n  mintmark agent validate --config agent.yaml")

        @OptionGroup var file: File

        func run() async throws {
            _ = try await file.load()
            Terminal.say("\(file.config) is valid")
        }
    }

    /// `mintmark agent config`.
    struct Config: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists every configuration key with its default.",
            discussion: """
                Each key can be overridden by an environment variable: MINTMARK_AGENT_ and the key in capitals.

                EXAMPLE
                  mintmark agent config --output yaml
                """)

        @OptionGroup var output: OutputOptions

        func run() throws { output.show(KeyRendering.render(AgentSettings.keys, prefix: "MINTMARK_AGENT")) }
    }
}

/// What an agent brings to its first meeting with a server.
enum FirstContact {
    private static let maximumBundle = 4 << 20

    /// Reads a bundle file, PEM or SPIFFE.
    static func bundle(
        _ path: String?, of trustDomain: TrustDomain, files: any FileSystem
    ) throws(Failure) -> TrustBundle? {
        guard let path else { return nil }
        return try bundle(try read(path, limit: maximumBundle, files: files), from: path, of: trustDomain)
    }

    /// Reads a bundle, PEM or SPIFFE.
    static func bundle(
        _ contents: [UInt8], from path: String, of trustDomain: TrustDomain
    ) throws(Failure) -> TrustBundle {
        do {
            if contents.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") {
                return try TrustBundle(json: contents, trustDomain: trustDomain)
            }
            return try TrustBundle(pem: String(decoding: contents, as: UTF8.self), trustDomain: trustDomain)
        } catch {
            throw Failure(
                .configuration, "\(path) is not a trust bundle: \(error.message)",
                hint: "write one with 'mintmark bundle show' on the server")
        }
    }

    /// The token from the flag, or the first line of a file.
    static func token(_ token: String?, file path: String?, files: any FileSystem) throws(Failure) -> SecretText? {
        if let token { return SecretText(token) }
        guard let path else { return nil }
        let contents = try read(path, limit: 4096, files: files)
        let line = String(decoding: contents, as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
        guard !line.isEmpty else {
            throw Failure(
                .configuration, "\(path) holds no join token", hint: "create one with 'mintmark token create'")
        }
        return SecretText(line.trimmingCharacters(in: .whitespaces))
    }

    private static func read(_ path: String, limit: Int, files: any FileSystem) throws(Failure) -> [UInt8] {
        let contents: [UInt8]?
        do { contents = try files.read(path, limit: limit) } catch {
            throw Failure(.configuration, "\(error)", hint: "name a file that can be read")
        }
        guard let contents else { throw Failure(.configuration, "no file at \(path)", hint: "name an existing file") }
        return contents
    }
}
