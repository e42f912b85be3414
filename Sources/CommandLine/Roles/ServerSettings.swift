package import Bootstrap
internal import Foundation
internal import IssuerDomain
internal import IssuerServer
internal import Logging
internal import Platform
internal import SPIFFE

/// The configuration of `mintmark server`, read and judged.
package struct ServerSettings: Sendable {
    let trustDomain: TrustDomain
    let dataFolder: String
    let bindAddress: String
    let bindPort: Int
    let adminSocket: UnixSocketPath
    let authorities: AuthorityKeeper.Settings
    let svids: SVIDIssuer.Settings
    let assurance: AssuranceDefaults
    let legacyAgents: LegacyAgentPolicy
    let access: AccessSettings
    let keyStore: KeyStoreSettings
    let upstream: UpstreamSettings?
    let nodeAttestors: [NodeAttestorPlan]
    let entriesFolder: String?
    let securityMarkPath: String?
    let entriesParent: SPIFFEID?
    let metrics: (host: String, port: Int)?

    package static let keys =
        [
            ConfigurationKey(
                "trust_domain", isRequired: true, help: "the trust domain to issue for, such as example.org"),
            ConfigurationKey("data_dir", default: "/var/lib/mintmark/server", help: "database and keys"),
            ConfigurationKey(
                "security_mark_path",
                help: """
                    the file by which a database that was brought back is noticed; beside the database unless said \
                    otherwise: name a place that is not restored with it
                    """),
            ConfigurationKey("bind_address", default: "127.0.0.1", help: "where agents connect: an IP address"),
            ConfigurationKey("bind_port", default: "8081", help: "where agents connect: a port; 0 takes any"),
            ConfigurationKey("admin_socket", default: "/run/mintmark/admin.sock", help: "where admins connect"),
            ConfigurationKey("ca_ttl", default: "24h", help: "lifetime of signing authorities"),
            ConfigurationKey(
                "x509_svid_ttl", default: "1h", help: "lifetime of X.509-SVIDs, unless an entry says otherwise"),
            ConfigurationKey(
                "jwt_svid_ttl", default: "5m", help: "lifetime of JWT-SVIDs, unless an entry says otherwise"),
            ConfigurationKey("agent_ttl", default: "3h", help: "lifetime of agents' own SVIDs"),
            ConfigurationKey("ca_key_type", default: "ec-p256", help: "ec-p256, ec-p384, rsa-2048 or rsa-4096"),
            ConfigurationKey("jwt_key_type", default: "ec-p256", help: "ec-p256, ec-p384, rsa-2048 or rsa-4096"),
            ConfigurationKey("jwt_issuer", help: "the iss claim of JWT-SVIDs; none when left out"),
            ConfigurationKey(
                "default_min_assurance", default: "2",
                help: """
                    the assurance level that an entry with a path, digest or place asks for unless it says otherwise: 2, 3, \
                    or 1, which trusts what a process can fake (exec after connect, a passed-on socket, a swapped \
                    executable link, changed code)
                    """),
            ConfigurationKey(
                "legacy_agents", default: "serve",
                help: """
                    agents of another make, which cannot judge assurance levels: serve hands them the entries with \
                    min_assurance 0 or 1, refuse hands them nothing
                    """),
            ConfigurationKey(
                "node_attestors",
                help: "a block: ways to let nodes in beside join tokens, such as x509pop, sshpop and http_challenge"),
            ConfigurationKey(
                "entries_folder",
                help: """
                    a folder whose files say what entries there are, as 'mintmark entry apply --help' has them; none when \
                    left out
                    """),
            ConfigurationKey(
                "entries_parent",
                help: "the agent under which entries of the folder stand that name no parent_id; none when left out"),
            MetricsAddress.key,
            ConfigurationKey(
                "log_level", default: "info", help: "trace, debug, info, notice, warning, error or critical"),
        ] + AccessReader.keys + keyStoreKeys + upstreamKeys

    init(path: String, environment: [String: String]) async throws(Failure) {
        let file = try await ConfigurationFile(
            path: path, keys: Self.keys, prefix: "MINTMARK_SERVER", environment: environment)
        trustDomain = try SettingReader.trustDomain(file)
        dataFolder = WorkloadOptions.absolute(try SettingReader.required(try file.text("data_dir"), "data_dir"))
        bindAddress = try SettingReader.required(
            try file.value("bind_address", "an IP address") {
                IPAddressLiteral.isIPv4($0) || IPAddressLiteral.isIPv6($0) ? $0 : nil
            }, "bind_address")
        bindPort = try SettingReader.required(try file.number("bind_port", in: 0...65535), "bind_port")
        adminSocket = try UnixSocketPath(
            WorkloadOptions.absolute(try SettingReader.required(try file.text("admin_socket"), "admin_socket")))
        let keyType: (String) -> SigningKeyType? = { SigningKeyType(rawValue: $0) }
        authorities = AuthorityKeeper.Settings(
            lifetime: try SettingReader.duration("ca_ttl", file, atLeast: .seconds(10)),
            x509KeyType: try SettingReader.required(
                try file.value("ca_key_type", "a key type", keyType), "ca_key_type"),
            jwtKeyType: try SettingReader.required(
                try file.value("jwt_key_type", "a key type", keyType), "jwt_key_type"))
        svids = SVIDIssuer.Settings(
            x509TTL: try SettingReader.duration("x509_svid_ttl", file),
            jwtTTL: try SettingReader.duration("jwt_svid_ttl", file),
            agentTTL: try SettingReader.duration("agent_ttl", file), jwtIssuer: try file.text("jwt_issuer"))
        let level = try SettingReader.required(
            try file.number("default_min_assurance", in: 1...3), "default_min_assurance")
        assurance = AssuranceDefaults(program: AssuranceLevel(rawValue: level) ?? .boundImage)
        legacyAgents = try SettingReader.required(
            try file.value("legacy_agents", "serve or refuse") { LegacyAgentPolicy(rawValue: $0) }, "legacy_agents")
        keyStore = try Self.keyStore(file)
        upstream = try Self.upstream(file)
        access = try AccessReader.settings(
            in: file, trustDomain: trustDomain, logLevel: try SettingReader.logLevel(file))
        nodeAttestors = try NodeAttestorSettings.plans(
            try file.block("node_attestors"), trustDomain: trustDomain, files: LocalFileSystem())
        entriesFolder = try file.text("entries_folder").map { WorkloadOptions.absolute($0) }
        securityMarkPath = try file.text("security_mark_path").map { WorkloadOptions.absolute($0) }
        entriesParent = try file.value("entries_parent", "a SPIFFE ID") { try? SPIFFEID($0) }
        metrics = try MetricsAddress.read(file)
    }

    func issuer(in state: StateFolder) -> IssuerConfiguration {
        var configuration = IssuerConfiguration(
            trustDomain: trustDomain, databasePath: state.file("mintmark.db"), keyFolder: state.file("keys"),
            serverIDPath: state.file("server-id"), adminSocket: adminSocket,
            listener: .tcp(host: bindAddress, port: bindPort), authorities: authorities,
            svids: svids, assurance: assurance, legacyAgents: legacyAgents, access: access)
        configuration.keyStore = keyStore
        configuration.upstream = upstream
        configuration.nodeAttestors = nodeAttestors
        configuration.entriesFolder = entriesFolder
        if let securityMarkPath { configuration.securityMarkPath = securityMarkPath }
        configuration.entriesParent = entriesParent
        configuration.metrics = metrics
        return configuration
    }

    func prepareSocketFolder(files: any FileSystem) throws(Failure) {
        try SettingReader.createFolder(holding: adminSocket, files: files)
    }
}

/// What the configurations of both roles read alike.
enum SettingReader {
    static func trustDomain(_ file: ConfigurationFile) throws(Failure) -> TrustDomain {
        let text = try required(try file.text("trust_domain"), "trust_domain")
        do { return try TrustDomain(text) } catch {
            throw Failure(
                .configuration, "trust_domain '\(text)': \(error.message)", hint: "use a name such as example.org")
        }
    }

    static func duration(
        _ name: String, _ file: ConfigurationFile, atLeast minimum: Duration = .seconds(1)
    ) throws(Failure) -> Duration {
        try required(
            try file.value(name, "a duration of at least \(minimum.wholeSeconds)s, such as 90s, 15m or 24h") {
                DurationText.parse($0).flatMap { $0 >= minimum ? $0 : nil }
            }, name)
    }

    /// Paths with colons between them; none when the key is absent.
    static func paths(_ file: ConfigurationFile, _ name: String) throws(Failure) -> [String] {
        (try file.text(name) ?? "").split(separator: ":").map { String($0) }
    }

    static func logLevel(_ file: ConfigurationFile) throws(Failure) -> Logger.Level {
        try required(try file.value("log_level", "a log level") { Logger.Level(rawValue: $0) }, "log_level")
    }

    static func required<Value>(_ value: Value?, _ name: String) throws(Failure) -> Value {
        guard let value else { throw Failure(.configuration, "required key '\(name)' is missing") }
        return value
    }

    static func createFolder(holding socket: UnixSocketPath, files: any FileSystem) throws(Failure) {
        let folder = URL(fileURLWithPath: socket.path).deletingLastPathComponent().path
        do { try files.createDirectory(folder, mode: 0o755) } catch {
            throw Failure(.cannotCreate, "\(error)", hint: "choose another socket path, or create \(folder)")
        }
    }
}
