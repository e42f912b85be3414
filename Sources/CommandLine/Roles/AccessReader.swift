internal import Bootstrap
internal import Foundation
internal import IssuerDomain
internal import IssuerServer
internal import LinuxKernel
internal import Logging
internal import Platform
internal import SPIFFE

/// Reads who may do what with a server, how often, and what is kept of it.
enum AccessReader {
    static let keys = [
        ConfigurationKey(
            "roles",
            help: """
                named grants: each a role (viewer, registrar, operator, authority_operator or admin) and to whom (uid:N, \
                gid:N, a SPIFFE ID, oidc:ISSUER:CLAIM=VALUE); for a registrar also spiffe_id_prefixes, and, if they are to \
                be narrower, parent_ids, selector_kinds, dns_names and entries (how many there may be)
                """),
        ConfigurationKey("admin_ids", help: "SPIFFE IDs of admins, with blanks between them"),
        ConfigurationKey(
            "token_issuers",
            help: """
                OpenID providers whose tokens name admins: each with issuer, audience, jwks_file or jwks_url, and \
                algorithms where RS256, PS256, ES256 and ES384 are too many
                """),
        ConfigurationKey(
            "admin_socket_mode", default: "0600", help: "who may connect to the admin socket: octal digits"),
        ConfigurationKey("admin_socket_group", help: "the group of the admin socket, by name or number"),
        ConfigurationKey(
            "limits",
            help: """
                what one caller may ask for over the network: attestation, signing, reporting, reading and querying, each \
                with rate (a second; 0 for no limit) and burst; tracked_callers says how many are told apart. Also entries \
                (1000000), connections (16384) and connections_per_address (2048): how many there may be
                """),
        ConfigurationKey(
            "two_person", default: "off",
            help: "whether taint, revoke, and entries that give power need two people: on or off"),
        ConfigurationKey("approval_ttl", default: "1h", help: "how long a request waits for the second person"),
        ConfigurationKey("audit_retention", default: "90d", help: "how long the issuance record goes back"),
    ]

    static func settings(
        in file: ConfigurationFile, trustDomain: TrustDomain, logLevel: Logger.Level
    ) throws(Failure) -> AccessSettings {
        let needsTwo = try file.value("two_person", "on or off") { ["on": true, "off": false][$0] } ?? false
        let issuers = try tokenIssuers(in: file)
        let grants = try grants(in: file, issuers: Set(issuers.map(\.name)))
        try refuseForeign(grants, trustDomain)
        var settings = AccessSettings(
            grants: grants, limits: try limits(in: file),
            approvalLifetime: needsTwo ? try SettingReader.duration("approval_ttl", file) : nil,
            auditRetention: try SettingReader.duration("audit_retention", file),
            socketMode: try SettingReader.required(
                try file.value("admin_socket_mode", "octal digits such as 0660") { mode($0) }, "admin_socket_mode"),
            socketGroup: try file.value("admin_socket_group", "a group of this machine") {
                UInt32($0) ?? AccountNames.group(named: $0)
            },
            tokenIssuers: issuers, logThreshold: LogThreshold(logLevel))
        if let block = try file.block("limits") {
            settings.maximumEntries = try count("entries", block) ?? settings.maximumEntries
            settings.maximumConnections = try count("connections", block) ?? settings.maximumConnections
            settings.maximumConnectionsOfOne =
                try count("connections_per_address", block) ?? settings.maximumConnectionsOfOne
        }
        return settings
    }

    private static func count(_ name: String, _ block: ConfigurationBlock) throws(Failure) -> Int? {
        let range = 1...100_000_000
        return try block.value(name, "a whole number from 1 to 100000000") { text in
            Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// A server verifies whoever calls it by its own bundle, so that nobody could ever come with an ID of another domain.
    private static func refuseForeign(_ grants: [Grant], _ trustDomain: TrustDomain) throws(Failure) {
        for grant in grants {
            for case .spiffeID(let id) in grant.holders where id.trustDomain != trustDomain {
                throw Failure(
                    .configuration,
                    "\(grant.name): '\(id)' is not in trust domain '\(trustDomain)', and admins of other domains are not let in",
                    hint: "name an ID of this trust domain, or admit them by token_issuers")
            }
        }
    }

    /// The owner keeps access, and there is no execute bit on a socket.
    private static func mode(_ text: String) -> UInt32? {
        guard (3...4).contains(text.utf8.count), let mode = UInt32(text, radix: 8) else { return nil }
        return mode & 0o600 == 0o600 && mode & ~0o666 == 0 ? mode : nil
    }

    private static func grants(in file: ConfigurationFile, issuers: Set<String>) throws(Failure) -> [Grant] {
        var grants: [Grant] = []
        if let ids = try file.text("admin_ids") {
            var holders: Set<Grant.Holder> = []
            for text in ids.split(separator: " ") {
                guard let id = try? SPIFFEID(String(text)) else {
                    throw Failure(
                        .configuration, "admin_ids: '\(text)' is not a SPIFFE ID", hint: "write spiffe://DOMAIN/PATH")
                }
                holders.insert(.spiffeID(id))
            }
            grants.append(Grant(name: "admin_ids", role: .admin, holders: holders))
        }
        guard let roles = try file.block("roles") else { return grants }
        for name in roles.names { grants.append(try grant(name, roles.requiredBlock(name), issuers)) }
        return grants
    }

    private static func grant(
        _ name: String, _ block: ConfigurationBlock, _ issuers: Set<String>
    ) throws(Failure) -> Grant {
        let scopeKeys: Set = ["spiffe_id_prefixes", "parent_ids", "selector_kinds", "dns_names", "entries"]
        let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
        guard let role = try block.value("role", "one of \(known)", { Role(rawValue: $0) }) else {
            throw block.wrong("role", "given")
        }
        try block.allow(role == .registrar ? scopeKeys.union(["role", "to"]) : ["role", "to"])
        guard let holders = try block.values("to", "a holder of a role", { Grant.Holder($0) }) else {
            throw block.wrong("to", "given")
        }
        for case .claim(let issuer, name: _, value: _) in holders where !issuers.contains(issuer) {
            throw block.wrong("to", "of a known issuer: token_issuers has no '\(issuer)'")
        }
        return Grant(
            name: name, role: role, holders: Set(holders), scope: role == .registrar ? try scope(in: block) : nil)
    }

    private static func scope(in block: ConfigurationBlock) throws(Failure) -> RegistrationScope {
        let prefix: (String) -> SPIFFEID? = { try? SPIFFEID($0) }
        guard let prefixes = try block.values("spiffe_id_prefixes", "a SPIFFE ID", prefix) else {
            throw block.wrong("spiffe_id_prefixes", "given, and a registrar needs them")
        }
        return RegistrationScope(
            prefixes: prefixes, parents: try block.values("parent_ids", "a SPIFFE ID", prefix),
            selectorKinds: try block.texts("selector_kinds").map { Set($0) },
            dnsNames: try block.texts("dns_names") ?? [], maximumEntries: try count("entries", block))
    }

    private static func limits(in file: ConfigurationFile) throws(Failure) -> CallLimits {
        var limits = CallLimits()
        guard let block = try file.block("limits") else { return limits }
        try block.allow(
            Set(MethodRule.Budget.allCases.map(\.rawValue)).union([
                "tracked_callers", "entries", "connections", "connections_per_address",
            ]))
        let number: (String) -> Double? = { Double($0).flatMap { (0...1e9).contains($0) ? $0 : nil } }
        for budget in MethodRule.Budget.allCases where block.names.contains(budget.rawValue) {
            let settings = try block.requiredBlock(budget.rawValue)
            try settings.allow(["rate", "burst"])
            let preset = limits.rates[budget]
            let rate = try settings.value("rate", "a number", number) ?? preset?.perSecond ?? 0
            let burst = try settings.value("burst", "a number of at least 1", number) ?? max(1, 4 * rate)
            guard rate == 0 || burst >= 1 else { throw settings.wrong("burst", "a number of at least 1") }
            limits.rates[budget] = CallLimits.Rate(perSecond: rate, burst: burst)
        }
        if let count = try block.value("tracked_callers", "a whole number from 1 to 1000000", { Int($0) }) {
            guard (1...1_000_000).contains(count) else {
                throw block.wrong("tracked_callers", "a whole number from 1 to 1000000")
            }
            limits.trackedCallers = count
        }
        return limits
    }

    private static func tokenIssuers(in file: ConfigurationFile) throws(Failure) -> [TokenIssuer] {
        guard let block = try file.block("token_issuers") else { return [] }
        var issuers: [TokenIssuer] = []
        for name in block.names {
            guard !name.contains(":") else { throw block.wrong(name, "a name without colons") }
            issuers.append(try tokenIssuer(name, block.requiredBlock(name)))
        }
        return issuers
    }

    private static func tokenIssuer(_ name: String, _ block: ConfigurationBlock) throws(Failure) -> TokenIssuer {
        try block.allow(["issuer", "audience", "jwks_file", "jwks_url", "algorithms"])
        guard let issuer = try block.text("issuer") else { throw block.wrong("issuer", "given") }
        guard let audience = try block.texts("audience").flatMap({ try? JWTAudience(anyOf: $0) }) else {
            throw block.wrong("audience", "given")
        }
        let keys: TokenIssuer.Keys
        switch (try block.text("jwks_file"), try block.text("jwks_url")) {
        case (let path?, nil): keys = .file(WorkloadOptions.absolute(path))
        case (nil, let url?) where url.hasPrefix("https://") || url.hasPrefix("http://127.0.0.1:"): keys = .url(url)
        case (nil, _?): throw block.wrong("jwks_url", "an https URL")
        default: throw block.wrong("jwks_file", "given, or jwks_url")
        }
        guard let algorithms = try block.values("algorithms", "an algorithm", { JWTAlgorithm(rawValue: $0) }) else {
            return TokenIssuer(name: name, issuer: issuer, audience: audience, keys: keys)
        }
        return TokenIssuer(
            name: name, issuer: issuer, audience: audience, keys: keys, algorithms: Set(algorithms))
    }
}
