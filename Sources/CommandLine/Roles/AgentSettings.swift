internal import Bootstrap
internal import Foundation
internal import Logging
internal import NodeAgent
internal import NodeAttestation
internal import Platform
internal import SPIFFE
internal import WorkloadAttestation
internal import X509

/// The configuration of `mintmark agent`, read and judged.
struct AgentSettings: Sendable {
    let trustDomain: TrustDomain
    let dataFolder: String
    let serverAddress: ServerAddress
    let workloadSocket: UnixSocketPath
    let adminSocket: UnixSocketPath
    let joinTokenFile: String?
    let trustBundleFile: String?
    let bundleSource: BundleURL?
    /// Who may vouch for the URL of a bundle; nil for those that this machine trusts.
    let bundleAuthorities: [Certificate]?
    /// How long the server must be a stranger before the agent looks for its bundle again; nil for never.
    let rebootstrapDelay: Duration?
    let rebootstrapMode: RebootstrapMode
    let prover: (any NodeProver)?
    let executableSizeLimit: Int64
    let journal: ExecJournalConfiguration?
    let metrics: (host: String, port: Int)?
    let logLevel: Logger.Level

    static let keys = [
        ConfigurationKey("trust_domain", isRequired: true, help: "the trust domain of the server, such as example.org"),
        ConfigurationKey("data_dir", default: "/var/lib/mintmark/agent", help: "the agent's own SVID and the bundle"),
        ConfigurationKey("server_address", default: "127.0.0.1:8081", help: "the server, as host:port"),
        ConfigurationKey(
            "workload_socket", default: "/run/mintmark/workload.sock", help: "where workloads connect"),
        ConfigurationKey(
            "admin_socket",
            help:
                "where root asks about processes; beside workload.sock agent-admin.sock, beside NAME.sock NAME-admin.sock"
        ),
        ConfigurationKey("join_token_file", help: "a file with a join token, for the first start"),
        ConfigurationKey(
            "node_attestor",
            help: "a block: how this node proves itself instead of by a join token: x509pop, sshpop or http_challenge"),
        ConfigurationKey("trust_bundle", help: "a file with the server's bundle, PEM or SPIFFE, for the first start"),
        ConfigurationKey(
            "trust_bundle_url", help: "where to fetch the server's bundle, PEM or SPIFFE, for the first start; https"),
        ConfigurationKey(
            "trust_bundle_url_authorities",
            help: "a PEM file of the authorities that may vouch for trust_bundle_url; those of this machine by default"),
        ConfigurationKey(
            "rebootstrap_mode", default: "never",
            help: """
                auto: get the first bundle again from where it came from, and prove this node anew, when the server has been \
                signed by nobody trusted for rebootstrap_delay; without a node_attestor whose proof can be repeated, or a \
                bundle to go back to, it is never. always: the same, and the agent does not start without them. never: wait
                """),
        ConfigurationKey(
            "rebootstrap_delay", default: "10m", help: "how long the server must be unknown before that"),
        ConfigurationKey(
            "executable_size_limit", default: "536870912", help: "the largest executable hashed, in bytes"),
        ConfigurationKey(
            "exec_journal", default: "on", help: "whether to note what each process executes: on or off"),
        ConfigurationKey(
            "exec_journal_mounts",
            help:
                "mounts, with colons between them, on which scripts are noted; all local file systems by default"),
        ConfigurationKey(
            "guard_scripts",
            help: "folders and scripts, with colons between them, whose execs wait until the script has been measured"),
        MetricsAddress.key,
        ConfigurationKey("log_level", default: "info", help: "trace, debug, info, notice, warning, error or critical"),
    ]

    /// Where the admin socket is unless the configuration says.
    ///
    /// Two agents with sockets in one folder do not meet there.
    static func adminSocket(beside workloadSocket: String) -> String {
        let workloads = URL(fileURLWithPath: workloadSocket)
        let name = workloads.deletingPathExtension().lastPathComponent
        let admin = workloads.lastPathComponent == "workload.sock" ? "agent-admin.sock" : "\(name)-admin.sock"
        return workloads.deletingLastPathComponent().appendingPathComponent(admin).path
    }

    /// What to do about a server that has become a stranger, in SPIRE's words.
    enum RebootstrapMode: String, Sendable {
        case never
        /// Trust it again where that can be.
        case auto
        /// The same, and do not run where it cannot be.
        case always
    }

    private static func rebootstrapDelay(
        _ file: ConfigurationFile, _ mode: RebootstrapMode, canRepeat: Bool
    ) throws(Failure) -> Duration? {
        let delay = try SettingReader.duration("rebootstrap_delay", file)
        switch mode {
        case .never: return nil
        case .auto: return canRepeat ? delay : nil
        case .always:
            guard canRepeat else {
                throw Failure(
                    .configuration, "rebootstrap_mode always needs a node_attestor",
                    hint: "a join token works once: set node_attestor, or rebootstrap_mode to auto or never")
            }
            return delay
        }
    }

    init(path: String, environment: [String: String]) async throws(Failure) {
        let file = try await ConfigurationFile(
            path: path, keys: Self.keys, prefix: "MINTMARK_AGENT", environment: environment)
        trustDomain = try SettingReader.trustDomain(file)
        dataFolder = WorkloadOptions.absolute(try SettingReader.required(try file.text("data_dir"), "data_dir"))
        serverAddress = try SettingReader.required(
            try file.value("server_address", "host:port, such as 127.0.0.1:8081") { try? ServerAddress($0) },
            "server_address")
        workloadSocket = try UnixSocketPath(
            WorkloadOptions.absolute(try SettingReader.required(try file.text("workload_socket"), "workload_socket")))
        adminSocket = try UnixSocketPath(
            WorkloadOptions.absolute(try file.text("admin_socket") ?? Self.adminSocket(beside: workloadSocket.path)))
        joinTokenFile = try file.text("join_token_file")
        trustBundleFile = try file.text("trust_bundle")
        let authorities = try BundleURL.authorities(in: file, files: LocalFileSystem())
        bundleAuthorities = authorities
        bundleSource = try file.text("trust_bundle_url").map { url throws(Failure) in
            try BundleURL(url, authorities: authorities)
        }
        prover = try NodeProverSettings.prover(
            try file.block("node_attestor"), files: LocalFileSystem())
        let mode =
            try file.value("rebootstrap_mode", "never, auto or always") { RebootstrapMode(rawValue: $0) } ?? .never
        rebootstrapDelay = try Self.rebootstrapDelay(file, mode, canRepeat: prover != nil)
        rebootstrapMode = mode
        metrics = try MetricsAddress.read(file)
        executableSizeLimit = Int64(
            try SettingReader.required(
                try file.number("executable_size_limit", in: 1...(1 << 40)), "executable_size_limit"))
        let isJournalOn = try file.value("exec_journal", "on or off") { ["on": true, "off": false][$0] } ?? true
        journal =
            isJournalOn
            ? JournalOptions.configuration(
                mounts: try SettingReader.paths(file, "exec_journal_mounts"),
                guarded: try SettingReader.paths(file, "guard_scripts"), limit: executableSizeLimit) : nil
        logLevel = try SettingReader.logLevel(file)
    }
}
