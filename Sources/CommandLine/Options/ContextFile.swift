internal import Bootstrap
internal import Foundation
internal import Platform
internal import SPIFFE

/// The servers that an admin has named.
struct ContextFile: Sendable {
    private static let limit = 1 << 20
    private static let keys: Set = [
        "address", "trust_domain", "trust_bundle", "cert", "key", "workload_socket", "token_file", "token_command",
    ]

    let path: String
    /// Which one holds when none is named.
    var current: String?
    /// By name, as they are written.
    private(set) var contexts: [(name: String, fields: JSONObject)]

    /// Where the file is: `MINTMARK_CONTEXTS`, or `mintmark/contexts.yaml` in the user's configuration folder.
    static func path(in environment: [String: String]) -> String {
        func given(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let path = given("MINTMARK_CONTEXTS") { return path }
        let folder = given("XDG_CONFIG_HOME") ?? "\(given("HOME") ?? "")/.config"
        return "\(folder)/mintmark/contexts.yaml"
    }

    /// Reads the file; one that is not there has no contexts.
    ///
    /// - Throws: ``Failure`` with status `configuration`.
    init(environment: [String: String], files: any FileSystem) throws(Failure) {
        path = Self.path(in: environment)
        (current, contexts) = (nil, [])
        let bytes: [UInt8]?
        do { bytes = try files.read(path, limit: Self.limit) } catch {
            throw Failure(.configuration, "\(error)", hint: "make the file readable, or set MINTMARK_CONTEXTS")
        }
        guard let bytes else { return }
        guard let root = (try? YAMLDocument.read(bytes))?.object else {
            throw Failure(.configuration, "\(path) is not a YAML mapping", hint: "write it with 'mintmark context add'")
        }
        current = root["current"]?.string
        for (name, value) in root["contexts"]?.object ?? JSONObject() {
            guard let fields = value.object,
                fields.allSatisfy({ Self.keys.contains($0.name) && $0.value.string != nil })
            else {
                throw Failure(
                    .configuration, "\(path): context '\(name)' is not a mapping of known keys",
                    hint: "known keys: \(Self.keys.sorted().joined(separator: ", "))")
            }
            contexts.append((name, fields))
        }
    }

    /// The context of a name.
    ///
    /// - Throws: ``Failure`` when there is none.
    func fields(of name: String) throws(Failure) -> JSONObject {
        guard let found = contexts.first(where: { $0.name == name }) else {
            throw Failure(
                .configuration, "no context is called '\(name)'", hint: "list what exists with 'mintmark context list'")
        }
        return found.fields
    }

    /// The server of a context.
    ///
    /// - Throws: ``Failure`` when it is not there, or says too little.
    func server(_ name: String) throws(Failure) -> RemoteServer { try Self.server(fields(of: name), named: name) }

    /// Judges the fields of a context.
    ///
    /// - Throws: ``Failure``.
    static func server(_ fields: JSONObject, named name: String) throws(Failure) -> RemoteServer {
        func wrong(_ what: String) -> Failure {
            Failure(
                .configuration, "context '\(name)' \(what)", hint: "write it anew with 'mintmark context add \(name) …'"
            )
        }
        guard let address = fields["address"]?.string else { throw wrong("has no address") }
        guard let domain = fields["trust_domain"]?.string, let trustDomain = try? TrustDomain(domain) else {
            throw wrong("has no trust domain")
        }
        var proofs: [RemoteServer.Proof] = []
        switch (fields["cert"]?.string, fields["key"]?.string) {
        case (let chain?, let key?): proofs.append(.certificate(chain: chain, key: key))
        case (nil, nil): break
        default: throw wrong("has a certificate without its key, or a key without its certificate")
        }
        if let endpoint = fields["workload_socket"]?.string { proofs.append(.workload(endpoint: endpoint)) }
        if let file = fields["token_file"]?.string { proofs.append(.tokenFile(file)) }
        if let command = fields["token_command"]?.string { proofs.append(.tokenCommand(command)) }
        guard proofs.count == 1, let proof = proofs.first else {
            throw wrong(
                "needs one proof: a certificate with its key, a workload socket, a token file or a token command")
        }
        let bundle = fields["trust_bundle"]?.string
        if bundle == nil, fields["workload_socket"] == nil { throw wrong("has no trust bundle") }
        return RemoteServer(
            address: try ServerAddress(address), trustDomain: trustDomain, trustBundle: bundle, proof: proof)
    }

    /// Adds a context, or replaces the one of the same name.
    mutating func put(_ name: String, _ fields: JSONObject) {
        contexts.removeAll { $0.name == name }
        contexts.append((name, fields))
        contexts.sort { $0.name < $1.name }
    }

    /// Removes a context.
    ///
    /// - Throws: ``Failure`` when there is none.
    mutating func remove(_ name: String) throws(Failure) {
        _ = try fields(of: name)
        contexts.removeAll { $0.name == name }
        if current == name { current = nil }
    }

    /// Writes the file, readable by its owner alone.
    ///
    /// - Throws: ``Failure`` with status `cannotCreate`.
    func save(_ files: any FileSystem) throws(Failure) {
        var root = JSONObject()
        if let current { root["current"] = .string(current) }
        root["contexts"] = .object(JSONObject(contexts.map { ($0.name, .object($0.fields)) }))
        do {
            try files.createDirectory(URL(fileURLWithPath: path).deletingLastPathComponent().path, mode: 0o700)
            try files.replace(path, with: Array((YAMLText.text(of: .object(root)) + "\n").utf8), mode: 0o600)
        } catch {
            throw Failure(.cannotCreate, "\(error)", hint: "set MINTMARK_CONTEXTS to a file that can be written")
        }
    }
}
