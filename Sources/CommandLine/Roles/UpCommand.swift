internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import GRPCInProcessTransport
internal import IssuerDomain
internal import IssuerServer
internal import Logging
internal import NodeAgent
internal import Platform
internal import SPIFFE
internal import WorkloadIdentity

/// `mintmark up`.
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Runs issuer and node agent in one process, for one machine.",
        discussion: """
            Everything lives under the state folder: the database, the keys, the admin socket and the workload socket.
            Started again, it goes on where it stopped.

            EXAMPLES
              mintmark up --state ~/.mintmark
              mintmark up --state /srv/mintmark --trust-domain prod.example --ready-file /run/mintmark.ready
            """)

    @Option(help: ArgumentHelp("The state folder; created where missing. Also MINTMARK_STATE.", valueName: "dir"))
    var state: String?

    @Option(help: "The trust domain; cannot change once the state folder exists.", transform: Judged.trustDomain)
    var trustDomain = UpCommand.defaultTrustDomain

    @Option(help: ArgumentHelp("Written once SVIDs can be fetched.", valueName: "path"))
    var readyFile: String?

    @Option(
        help: ArgumentHelp(
            "A folder whose files say what entries there are; see 'mintmark entry apply --help'.", valueName: "dir"))
    var entries: String?

    @Option(help: ArgumentHelp("Lifetime of signing authorities.", valueName: "duration"))
    var caTtl = DurationArgument(.seconds(24 * 3600))

    @Option(help: ArgumentHelp("Lifetime of X.509-SVIDs, unless an entry says otherwise.", valueName: "duration"))
    var x509Ttl = DurationArgument(.seconds(3600))

    @Option(help: ArgumentHelp("Lifetime of JWT-SVIDs, unless an entry says otherwise.", valueName: "duration"))
    var jwtTtl = DurationArgument(.seconds(300))

    @Option(help: "Key type of X.509 authorities: ec-p256, ec-p384, rsa-2048 or rsa-4096.")
    var caKeyType = SigningKeyType.ecP256

    @Option(help: "Key type of JWT authorities: ec-p256, ec-p384, rsa-2048 or rsa-4096.")
    var jwtKeyType = SigningKeyType.ecP256

    @OptionGroup var journal: JournalOptions

    @Option(
        help: "The least severe log level written: trace, debug, info, notice, warning, error or critical.",
        transform: Judged.logLevel)
    var logLevel = Logger.Level.info

    @Option(
        help: ArgumentHelp(
            "Hand out metrics of both halves under http://127.0.0.1:PORT/metrics; 0 takes any free port.",
            valueName: "port"))
    var metricsPort: Int?

    // The fixed name keeps every rule; a test says so.
    private static let defaultTrustDomain = try? TrustDomain("example.org")

    func validate() throws {
        guard caTtl.duration >= .seconds(10) else { throw ValidationError("'--ca-ttl' must be at least 10s") }
        guard x509Ttl.duration >= .seconds(1) else { throw ValidationError("'--x509-ttl' must be at least 1s") }
        guard jwtTtl.duration >= .seconds(1) else { throw ValidationError("'--jwt-ttl' must be at least 1s") }
        guard (0...65535).contains(metricsPort ?? 0) else { throw ValidationError("'--metrics-port' must be a port") }
    }

    func run() async throws {
        let (folder, trustDomain) = try place()
        let threshold = LogThreshold(logLevel)
        let logger = Running.prepare(threshold: threshold)
        let (clock, files) = (SystemWallClock(), LocalFileSystem())
        let state = try StateFolder(folder, mode: 0o755, files: files)
        let ready = ReadyFile(readyFile, files: files)
        try ready.clear()

        let issuer = try await Issuer(
            IssuerConfiguration(
                trustDomain: trustDomain, databasePath: state.file("mintmark.db"), keyFolder: state.file("keys"),
                serverIDPath: state.file("server-id"), adminSocket: try UnixSocketPath(state.file("admin.sock")),
                authorities: .init(lifetime: caTtl.duration, x509KeyType: caKeyType, jwtKeyType: jwtKeyType),
                svids: .init(
                    x509TTL: x509Ttl.duration, jwtTTL: jwtTtl.duration,
                    agentTTL: min(.seconds(3 * 3600), caTtl.duration)),
                entriesFolder: entries.map { WorkloadOptions.absolute($0) }, access: .init(logThreshold: threshold)),
            clock: clock, files: files, logger: logger)
        defer { issuer.close() }
        let inProcess = InProcessTransport()
        let peer = EmbeddedPeer()
        let socket = try UnixSocketPath(state.file("workload.sock"))
        let agent = try Agent(
            AgentConfiguration(
                trustDomain: trustDomain, workloadSocket: socket,
                adminSocket: try UnixSocketPath(state.file("agent-admin.sock")), journal: journal.configuration()),
            embedded: inProcess.client,
            bundle: { issuer.bundle }, present: { peer.present($0) }, clock: clock, logger: logger)
        defer { agent.close() }

        let endpoint = WorkloadEndpoint.unix(path: socket.path)
        var services =
            issuer.services(embedded: (inProcess.server, peer))
            + agent.services {
                guard await issuer.waitUntilListening() else { return }
                logger.info(
                    "ready", metadata: ["trust_domain": "\(trustDomain)", "workload.endpoint": "\(endpoint)"])
                Terminal.say("export \(WorkloadEndpoint.environmentVariable)=\(endpoint)")
                try ready.write(
                    JSONValue.members([
                        "workload_endpoint": .string("\(endpoint)"), "admin_socket": .string(state.file("admin.sock")),
                        "trust_domain": .string(trustDomain.name),
                    ]).compactText)
            }
        if let metricsPort {
            let texts = [issuer.metricsText, agent.metricsText]
            services.append(
                MetricsListener(host: "127.0.0.1", port: metricsPort, logger: logger) {
                    texts.map { $0() }.joined()
                })
        }
        try await Running.run(services, logger: logger)
        try ready.clear()
    }

    private func place() throws -> (folder: String, trustDomain: TrustDomain) {
        guard let folder = state ?? ProcessInfo.processInfo.environment["MINTMARK_STATE"], !folder.isEmpty else {
            throw ValidationError("missing '--state <dir>'; it can also be set as MINTMARK_STATE")
        }
        guard let trustDomain else { throw ValidationError("missing '--trust-domain'") }
        return (WorkloadOptions.absolute(folder), trustDomain)
    }
}
