internal import Bootstrap
internal import Foundation
internal import IssuerServer
internal import NodeAttestation
internal import Platform
internal import SPIFFE
internal import X509

/// The block `node_attestors` of a server's configuration: how nodes are let in, beside join tokens.
enum NodeAttestorSettings {
    private static let maximumFile = 4 << 20

    private typealias Reader =
        @Sendable (ConfigurationBlock, TrustDomain, any FileSystem) throws(Failure) -> NodeAttestorPlan

    /// One for each name that may stand in the block.
    private static let readers: [String: Reader] = [
        X509PoPAttestor.type: { block, _, files throws(Failure) in try x509PoP(block, files) },
        SSHPoPAttestor.type: { block, _, files throws(Failure) in try sshPoP(block, files) },
        HTTPChallengeAttestor.type: { block, _, _ throws(Failure) in try httpChallenge(block) },
        TPMDevIDAttestor.type: { block, _, files throws(Failure) in try tpmDevID(block, files) },
        K8sPSATAttestor.type: { block, _, files throws(Failure) in try k8sPSAT(block, files) },
    ]

    /// Reads and judges the block.
    ///
    /// - Throws: ``Failure`` with status `configuration`.
    static func plans(
        _ block: ConfigurationBlock?, trustDomain: TrustDomain, files: any FileSystem
    ) throws(Failure) -> [NodeAttestorPlan] {
        guard let block else { return [] }
        try block.allow(Set(readers.keys))
        var plans: [NodeAttestorPlan] = []
        for name in block.names {
            guard let reader = readers[name], let settings = try block.block(name) else { continue }
            plans.append(try reader(settings, trustDomain, files))
        }
        return plans
    }

    private static func x509PoP(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> NodeAttestorPlan {
        try block.allow([
            "mode", "ca_bundle_path", "ca_bundle_paths", "svid_prefix", "agent_path_template", "max_intermediates",
            "max_rsa_key_size", "verify_client_ip",
        ])
        let template = try pathTemplate(block, X509PoPAttestor.type, X509PoPSettings.templateFields)
        let intermediates = try block.number("max_intermediates", in: 1...9) ?? 4
        let rsaBits = try block.number("max_rsa_key_size", in: 2048...8192) ?? 8192
        let verifiesAddress = try block.flag("verify_client_ip") ?? false
        let make: @Sendable (X509PoPSettings.Trust) -> X509PoPAttestor = { trust in
            X509PoPAttestor(
                X509PoPSettings(
                    trust: trust, pathTemplate: template, maximumIntermediates: intermediates,
                    maximumRSABits: rsaBits, verifiesClientAddress: verifiesAddress))
        }
        let paths = (try block.texts("ca_bundle_path") ?? []) + (try block.texts("ca_bundle_paths") ?? [])
        switch try block.text("mode") ?? "external_pki" {
        case "external_pki":
            guard !paths.isEmpty else {
                throw Failure(
                    .configuration, "\(block.path): required key 'ca_bundle_path' is missing",
                    hint: "name a PEM file with the authorities that sign nodes' certificates")
            }
            var authorities: [Certificate] = []
            for path in paths { authorities += try certificates(path, block, files) }
            return NodeAttestorPlan(X509PoPAttestor.type) { [authorities] _ in make(.external(authorities)) }
        case "spiffe":
            guard paths.isEmpty else {
                throw Failure(
                    .configuration, "\(block.path): mode spiffe takes no ca_bundle_path",
                    hint: "leave it out: nodes show SVIDs of this trust domain")
            }
            let asked = try block.text("svid_prefix") ?? "/spire-exchange/"
            let prefix = asked.hasSuffix("/") ? asked : "\(asked)/"
            return NodeAttestorPlan(X509PoPAttestor.type) { surroundings in
                make(.ownSVIDs(prefix: prefix, bundle: surroundings.bundle))
            }
        default:
            throw Failure(.configuration, "\(block.path): key 'mode' is not external_pki or spiffe")
        }
    }

    private static func sshPoP(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> NodeAttestorPlan {
        try block.allow([
            "cert_authorities", "cert_authorities_path", "canonical_domain", "agent_path_template",
        ])
        var lines = try block.texts("cert_authorities") ?? []
        if let path = try block.text("cert_authorities_path") { lines.append(try read(path, block, files)) }
        let authorities: [SSHPublicKey]
        do throws(NodeAttestationError) { authorities = try SSHKeyLine.keys(in: lines.joined(separator: "\n")) } catch {
            throw Failure(
                .configuration, "\(block.path): an authority cannot be read: \(error)",
                hint: "write lines such as 'ssh-ed25519 AAAA…', as in the authority's .pub file")
        }
        guard !authorities.isEmpty else {
            throw Failure(
                .configuration, "\(block.path): no authorities",
                hint: "set cert_authorities or cert_authorities_path to public keys that sign host certificates")
        }
        let template = try pathTemplate(block, SSHPoPAttestor.type, SSHPoPAttestor.templateFields)
        let domain = try block.text("canonical_domain")
        return NodeAttestorPlan(SSHPoPAttestor.type) { _ in
            SSHPoPAttestor(authorities: authorities, canonicalDomain: domain, pathTemplate: template)
        }
    }

    private static func httpChallenge(_ block: ConfigurationBlock) throws(Failure) -> NodeAttestorPlan {
        try block.allow(["allowed_dns_patterns", "required_port", "allow_non_root_ports", "tofu", "allow_loopback"])
        var patterns: [HostPattern] = []
        for text in try block.texts("allowed_dns_patterns") ?? [] {
            guard let pattern = HostPattern(text) else {
                throw Failure(
                    .configuration, "\(block.path): '\(text)' is no pattern of host names",
                    hint: "write a DNS name in which * stands for part of a label, such as node-*.example.org")
            }
            patterns.append(pattern)
        }
        guard !patterns.isEmpty else {
            throw Failure(
                .configuration, "\(block.path): required key 'allowed_dns_patterns' is missing",
                hint: "name the hosts that this server may call, such as node-*.example.org")
        }
        guard
            var settings = HTTPChallengeSettings(
                patterns: patterns, requiredPort: try block.number("required_port", in: 1...65535),
                allowsHighPorts: try block.flag("allow_non_root_ports") ?? true,
                isFirstUseOnly: try block.flag("tofu") ?? true)
        else {
            throw Failure(
                .configuration, "\(block.path): tofu cannot be off while anybody on a host can answer for it",
                hint: "set required_port below 1024, or allow_non_root_ports to false")
        }
        settings.allowsLoopback = try block.flag("allow_loopback") ?? false
        return NodeAttestorPlan(HTTPChallengeAttestor.type) { [settings] surroundings in
            HTTPChallengeAttestor(settings, fetcher: surroundings.fetcher)
        }
    }

    private static func tpmDevID(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> NodeAttestorPlan {
        try block.allow(["devid_ca_path", "endorsement_ca_path"])
        let attestor = TPMDevIDAttestor(
            TPMDevIDSettings(
                devIDAuthorities: try certificates(try block.required("devid_ca_path"), block, files),
                endorsementAuthorities: try certificates(try block.required("endorsement_ca_path"), block, files)))
        return NodeAttestorPlan(TPMDevIDAttestor.type) { _ in attestor }
    }

    private static func k8sPSAT(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> NodeAttestorPlan {
        try block.allow(["clusters"])
        let named = try block.requiredBlock("clusters")
        var clusters: [String: K8sPSATSettings.Cluster] = [:]
        for name in named.names { clusters[name] = try cluster(named.requiredBlock(name), files) }
        let settings: K8sPSATSettings
        do throws(NodeAttestationError) { settings = try K8sPSATSettings(clusters: clusters) } catch {
            throw Failure(
                .configuration, "\(block.path): \(error)",
                hint: "give each cluster a service_account_allow_list such as [\"spire:spire-agent\"]")
        }
        return NodeAttestorPlan(K8sPSATAttestor.type) { surroundings in
            K8sPSATAttestor(settings, fetcher: surroundings.fetcher, files: files)
        }
    }

    private static func cluster(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> K8sPSATSettings.Cluster {
        try block.allow([
            "service_account_allow_list", "audience", "server", "ca_path", "token_path", "kube_config_file",
            "allowed_node_label_keys", "allowed_pod_label_keys", "use_pod_uid_for_agent_id",
        ])
        return K8sPSATSettings.Cluster(
            serviceAccounts: Set(try block.texts("service_account_allow_list") ?? []),
            audiences: try block.texts("audience") ?? ["spire-server"], access: try access(block, files),
            nodeLabelKeys: Set(try block.texts("allowed_node_label_keys") ?? []),
            podLabelKeys: Set(try block.texts("allowed_pod_label_keys") ?? []),
            namesAgentsAfterPods: try block.flag("use_pod_uid_for_agent_id") ?? false)
    }

    private static func access(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> KubernetesAccess {
        if let path = try block.text("kube_config_file") {
            guard try block.text("server") == nil, try block.text("ca_path") == nil, try block.text("token_path") == nil
            else {
                throw Failure(
                    .configuration, "\(block.path): kube_config_file says what server, ca_path and token_path would",
                    hint: "leave those out")
            }
            let text = try read(path, block, files)
            do throws(KubeConfigFile.Unusable) {
                return try KubeConfigFile(text, folder: URL(fileURLWithPath: path).deletingLastPathComponent().path)
                    .access
            } catch { throw Failure(.configuration, "\(path): \(error)", hint: error.hint) }
        }
        // A pod of the cluster itself finds what it needs in these places.
        let server = try block.text("server") ?? "https://kubernetes.default.svc"
        let authority = try block.text("ca_path") ?? "\(KubernetesAccess.podFolder)/ca.crt"
        let token = try block.text("token_path") ?? "\(KubernetesAccess.podFolder)/token"
        do throws(NodeAttestationError) {
            return try KubernetesAccess(server: server, authorityPath: authority, tokenPath: token)
        } catch {
            throw Failure(
                .configuration, "\(block.path): \(error)", hint: "write the API server as https://HOST:PORT")
        }
    }

    private static func pathTemplate(
        _ block: ConfigurationBlock, _ type: String, _ fields: Set<String>
    ) throws(Failure) -> PathTemplate? {
        guard let text = try block.text("agent_path_template") else { return nil }
        do throws(PathTemplateError) { return try PathTemplate(parsing: text, type: type, fields: fields) } catch {
            throw Failure(
                .configuration, "\(block.path): \(error)",
                hint:
                    "write one such as '/\(type)/{{ .Fingerprint }}'; it may name \(fields.sorted().joined(separator: ", "))"
            )
        }
    }

    private static func certificates(
        _ path: String, _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> [Certificate] {
        let text = try read(path, block, files)
        do throws(SPIFFEError) {
            // Of no trust domain: they are another PKI's.
            return try TrustBundle(pem: text, trustDomain: TrustDomain("nodes.invalid")).x509.authorities
        } catch {
            throw Failure(
                .configuration, "\(path) holds no authorities: \(error.message)",
                hint: "name a PEM file of CA certificates")
        }
    }

    private static func read(
        _ path: String, _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> String {
        let contents: [UInt8]?
        do throws(FileSystemError) { contents = try files.read(path, limit: maximumFile) } catch {
            throw Failure(.configuration, "\(block.path): \(error)", hint: "name a file that can be read")
        }
        guard let contents else {
            throw Failure(.configuration, "\(block.path): no file at \(path)", hint: "name an existing file")
        }
        return String(decoding: contents, as: UTF8.self)
    }
}
