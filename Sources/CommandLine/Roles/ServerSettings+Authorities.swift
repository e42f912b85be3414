internal import Bootstrap
internal import IssuerServer
internal import SPIFFE

extension ServerSettings {
    static let keyStoreKeys = [
        ConfigurationKey(
            "key_store.kind", default: "disk",
            help: """
                where signing keys are: disk, pkcs11 (in a token), or memory (new ones at each start, which agents accept \
                without being told when the server has an upstream authority)
                """),
        ConfigurationKey(
            "key_store.passphrase_file", help: "disk: a file with the passphrase that keys are encrypted with"),
        ConfigurationKey(
            "key_store.key_file", help: "disk: a file of 32 random bytes or more that keys are encrypted with"),
        ConfigurationKey("key_store.module", help: "pkcs11: the module, a shared library"),
        ConfigurationKey("key_store.token", help: "pkcs11: the label of the token"),
        ConfigurationKey("key_store.pin_file", help: "pkcs11: a file with the user PIN"),
    ]

    static let upstreamKeys = [
        ConfigurationKey(
            "upstream_authority.kind",
            help:
                "what signs this server's authorities: disk (a CA in files) or issuer (another server); itself when left out"
        ),
        ConfigurationKey(
            "upstream_authority.certificate_file", help: "disk: the CA certificate, then what leads to its root; PEM"),
        ConfigurationKey("upstream_authority.key_file", help: "disk: the private key of the CA certificate; PEM"),
        ConfigurationKey(
            "upstream_authority.bundle_file", help: "disk: the roots, when the CA certificate is not one itself; PEM"),
        ConfigurationKey("upstream_authority.server_address", help: "issuer: the other server, as host:port"),
        ConfigurationKey(
            "upstream_authority.workload_socket",
            help: "issuer: the workload socket of the agent that gives this server a downstream identity; unix:///path"),
    ]

    static func keyStore(_ file: ConfigurationFile) throws(Failure) -> KeyStoreSettings {
        let kind = try SettingReader.required(
            try file.value("key_store.kind", "memory, disk or pkcs11") { Block.KeyStore(rawValue: $0) },
            "key_store.kind")
        let block = Block("key_store", kind.rawValue, file)
        switch kind {
        case .memory:
            try block.refuse(["passphrase_file", "key_file", "module", "token", "pin_file"])
            return .memory
        case .disk:
            try block.refuse(["module", "token", "pin_file"])
            switch (try block.path("passphrase_file"), try block.path("key_file")) {
            case (nil, nil): return .disk(secret: nil)
            case (let passphrase?, nil): return .disk(secret: .passphraseFile(passphrase))
            case (nil, let key?): return .disk(secret: .keyFile(key))
            case (_?, _?):
                throw Failure(
                    .configuration, "key_store has both a passphrase_file and a key_file", hint: "leave one of them out"
                )
            }
        case .pkcs11:
            try block.refuse(["passphrase_file", "key_file"])
            return .pkcs11(
                module: try block.requiredPath("module"), token: try block.required("token"),
                pinFile: try block.requiredPath("pin_file"))
        }
    }

    static func upstream(_ file: ConfigurationFile) throws(Failure) -> UpstreamSettings? {
        let disk = ["certificate_file", "key_file", "bundle_file"]
        let issuer = ["server_address", "workload_socket"]
        guard
            let kind = try file.value(
                "upstream_authority.kind", "disk or issuer", { Block.Upstream(rawValue: $0) })
        else {
            let block = Block("upstream_authority", "(none)", file)
            try block.refuse(disk + issuer)
            return nil
        }
        let block = Block("upstream_authority", kind.rawValue, file)
        switch kind {
        case .disk:
            try block.refuse(issuer)
            return .disk(
                certificates: try block.requiredPath("certificate_file"), key: try block.requiredPath("key_file"),
                roots: try block.path("bundle_file"))
        case .issuer:
            try block.refuse(disk)
            let socket = try block.required("workload_socket")
            let endpoint: WorkloadEndpoint
            do throws(SPIFFEError) { endpoint = try WorkloadEndpoint(socket) } catch {
                throw Failure(
                    .configuration, "upstream_authority.workload_socket: \(error.message)",
                    hint: "write it as unix:///run/mintmark/workload.sock")
            }
            return .issuer(address: try ServerAddress(try block.required("server_address")), workload: endpoint)
        }
    }
}

/// The keys of one block, of which each kind wants its own.
private struct Block {
    enum KeyStore: String { case memory, disk, pkcs11 }
    enum Upstream: String { case disk, issuer }

    let name: String
    let kind: String
    let file: ConfigurationFile

    init(_ name: String, _ kind: String, _ file: ConfigurationFile) {
        (self.name, self.kind, self.file) = (name, kind, file)
    }

    /// Refuses keys that would be passed over silently.
    func refuse(_ keys: [String]) throws(Failure) {
        for key in keys where try file.text("\(name).\(key)") != nil {
            throw Failure(
                .configuration, "\(name).\(key) means nothing with \(name).kind \(kind)",
                hint: "leave it out, or choose the kind that it belongs to")
        }
    }

    func required(_ key: String) throws(Failure) -> String {
        guard let text = try file.text("\(name).\(key)"), !text.isEmpty else {
            throw Failure(
                .configuration, "\(name).kind \(kind) needs \(name).\(key)",
                hint: "'mintmark server config' says what it is")
        }
        return text
    }

    func requiredPath(_ key: String) throws(Failure) -> String { WorkloadOptions.absolute(try required(key)) }

    func path(_ key: String) throws(Failure) -> String? {
        try file.text("\(name).\(key)").map { WorkloadOptions.absolute($0) }
    }
}
