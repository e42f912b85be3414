import Bootstrap
import Platform
import TestSupport
import Testing

@Suite("Configuration files")
struct ConfigurationFileTests {
    private static let keys = [
        ConfigurationKey("trust_domain", isRequired: true, help: "the trust domain to issue for"),
        ConfigurationKey("bind_port", default: "8081", help: "where agents connect"),
        ConfigurationKey("x509_svid_ttl", default: "1h", help: "lifetime of X.509-SVIDs"),
        ConfigurationKey("log_level", help: "how much is logged"),
    ]

    private func read(_ yaml: String, environment: [String: String] = [:]) async throws -> ConfigurationFile {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/server.yaml"
            try LocalFileSystem().replace(path, with: Array(yaml.utf8), mode: 0o600)
            return try await ConfigurationFile(
                path: path, keys: Self.keys, prefix: "MINTMARK_TEST", environment: environment)
        }
    }

    private static func lifetime(_ file: ConfigurationFile) throws -> Duration? {
        try file.value("x509_svid_ttl", "a duration") { DurationText.parse($0) }
    }

    /// Why a file is refused; its values are all asked for.
    private func refusal(_ yaml: String, environment: [String: String] = [:]) async -> Failure? {
        let failure = await #expect(throws: Failure.self) {
            let file = try await read(yaml, environment: environment)
            _ = try (file.text("trust_domain"), file.number("bind_port", in: 0...65535), file.text("log_level"))
            _ = try Self.lifetime(file)
        }
        #expect(failure?.status == .configuration)
        #expect(failure?.hint?.isEmpty == false)
        return failure
    }

    @Test("reads what is written, and falls back to defaults")
    func reads() async throws {
        let file = try await read("trust_domain: example.org\nbind_port: 9000\n")
        #expect(try file.text("trust_domain") == "example.org")
        #expect(try file.number("bind_port", in: 0...65535) == 9000)
        #expect(try Self.lifetime(file) == .seconds(3600))
        #expect(try file.text("log_level") == nil)
    }

    @Test("understands comments and quotes")
    func quotes() async throws {
        let file = try await read("# comment\ntrust_domain: \"example.org\"\nx509_svid_ttl: '30m' # half\n")
        #expect(try file.text("trust_domain") == "example.org")
        #expect(try file.number("bind_port", in: 0...65535) == 8081)
        #expect(try Self.lifetime(file) == .seconds(1800))
    }

    @Test("lets the environment win over the file, and stand in for it")
    func environment() async throws {
        let environment = [
            "MINTMARK_TEST_BIND_PORT": "7000", "MINTMARK_TEST_TRUST_DOMAIN": "env.example",
            "MINTMARK_TEST_X509_SVID_TTL": "5m", "MINTMARK_TEST_LOG_LEVEL": "debug", "BIND_PORT": "1",
            "MINTMARK_OTHER_BIND_PORT": "2",
        ]
        for yaml in ["bind_port: 9000\n", "trust_domain: example.org\nx509_svid_ttl: 1h\n"] {
            let file = try await read(yaml, environment: environment)
            #expect(try file.text("trust_domain") == "env.example")
            #expect(try file.number("bind_port", in: 0...65535) == 7000)
            #expect(try Self.lifetime(file) == .seconds(300))
            #expect(try file.text("log_level") == "debug")
        }
    }

    @Test(
        "names an unknown key and the nearest known one",
        arguments: [
            ("trust_domian", "did you mean 'trust_domain'?"), ("bindport", "did you mean 'bind_port'?"),
            ("x509_svid_tll", "did you mean 'x509_svid_ttl'?"), ("port", "did you mean 'bind_port'?"),
            ("Trust_Domain", "did you mean 'trust_domain'?"),
            ("completely_different", "known keys: trust_domain, bind_port, x509_svid_ttl, log_level"),
        ])
    func unknownKey(_ key: String, _ hint: String) async {
        let failure = await refusal("trust_domain: example.org\n\(key): 1\n")
        #expect(failure?.message.hasSuffix("server.yaml: unknown key '\(key)'") == true)
        #expect(failure?.hint == hint)
    }

    @Test("names the required key that is missing, and what it is for")
    func missing() async {
        let failure = await refusal("bind_port: 1\n")
        #expect(failure?.message.hasSuffix("server.yaml: required key 'trust_domain' is missing") == true)
        #expect(failure?.hint == "the trust domain to issue for")
    }

    @Test(
        "names the key whose value is of the wrong type, and what it should be",
        arguments: [
            ("bind_port: many", "key 'bind_port' is not a whole number"),
            ("bind_port: 1.5", "key 'bind_port' is not a whole number"),
            ("bind_port: [1]", "key 'bind_port' is not a whole number"),
            ("bind_port: 65536", "key 'bind_port' is not a whole number from 0 to 65535"),
            ("bind_port: -1", "key 'bind_port' is not a whole number from 0 to 65535"),
            ("bind_port: 99999999999999999999", "key 'bind_port' is not a whole number"),
            ("log_level: [debug]", "key 'log_level' is not text"),
            ("log_level: {a: b}", "key 'log_level' is not text"),
            ("x509_svid_ttl: soon", "key 'x509_svid_ttl' is not a duration"),
            ("x509_svid_ttl: ''", "key 'x509_svid_ttl' is not a duration"),
        ])
    func wrongType(_ line: String, _ message: String) async {
        let failure = await refusal("trust_domain: example.org\n\(line)\n")
        #expect(failure?.message.hasSuffix(message) == true, "\(failure?.message ?? "")")
    }

    @Test("judges values of the environment by the same rules")
    func wrongTypeInEnvironment() async {
        let failure = await refusal("trust_domain: a\n", environment: ["MINTMARK_TEST_BIND_PORT": "many"])
        #expect(failure?.message.hasSuffix("key 'bind_port' is not a whole number") == true)
    }

    @Test(
        "refuses what is not a YAML mapping",
        arguments: ["", "just text", "- a\n- b\n", "a: [", "trust_domain: a\n\tbind_port: 1\n", "{", "\u{0}"])
    func notYAML(_ yaml: String) async {
        let failure = await refusal(yaml)
        #expect(failure?.message.hasSuffix("server.yaml is not a YAML mapping") == true, "\(failure?.message ?? "")")
    }

    @Test("refuses a file that is not UTF-8, too large, or a folder")
    func unreadable() async throws {
        try await TemporaryFolder.use { folder in
            let files = LocalFileSystem()
            try files.replace("\(folder)/latin1", with: Array("trust_domain: ".utf8) + [0xE9], mode: 0o600)
            try files.replace("\(folder)/large", with: [UInt8](repeating: 0x0A, count: (1 << 20) + 1), mode: 0o600)
            try files.createDirectory("\(folder)/folder", mode: 0o700)
            for name in ["latin1", "large", "folder"] {
                let failure = await #expect(throws: Failure.self, "\(name)") {
                    try await ConfigurationFile(
                        path: "\(folder)/\(name)", keys: Self.keys, prefix: "MINTMARK_TEST", environment: [:])
                }
                #expect(failure?.status == .configuration)
                #expect(failure?.message.contains("\(folder)/\(name)") == true)
                #expect(failure?.hint != nil)
            }
        }
    }

    @Test("refuses a file that is not there, and says where it looked")
    func absent() async throws {
        try await TemporaryFolder.use { folder in
            let failure = await #expect(throws: Failure.self) {
                try await ConfigurationFile(
                    path: "\(folder)/none.yaml", keys: Self.keys, prefix: "MINTMARK_TEST", environment: [:])
            }
            #expect(
                failure
                    == Failure(
                        .configuration, "no configuration file at \(folder)/none.yaml",
                        hint: "give --config an existing file"))
        }
    }
}
