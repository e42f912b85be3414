internal import Bootstrap
internal import Foundation
internal import NodeAttestation
internal import Platform

/// The block `node_attestor` of an agent's configuration: how this node proves itself.
enum NodeProverSettings {
    private typealias Reader = @Sendable (ConfigurationBlock, any FileSystem) throws(Failure) -> any NodeProver

    /// One for each name that may stand in the block.
    private static let readers: [String: Reader] = [
        X509PoPAttestor.type: { block, files throws(Failure) in try x509PoP(block, files) },
        SSHPoPAttestor.type: { block, files throws(Failure) in try sshPoP(block, files) },
        HTTPChallengeAttestor.type: { block, _ throws(Failure) in try httpChallenge(block) },
        TPMDevIDAttestor.type: { block, files throws(Failure) in try tpmDevID(block, files) },
        K8sPSATAttestor.type: { block, files throws(Failure) in try k8sPSAT(block, files) },
    ]

    /// Reads and judges the block.
    ///
    /// - Returns: nil when there is none.
    /// - Throws: ``Failure`` with status `configuration`.
    static func prover(
        _ block: ConfigurationBlock?, files: any FileSystem
    ) throws(Failure) -> (any NodeProver)? {
        guard let block else { return nil }
        try block.allow(Set(readers.keys))
        guard let name = block.names.first, block.names.count == 1, let reader = readers[name],
            let settings = try block.block(name)
        else {
            throw Failure(
                .configuration, "\(block.path): a node proves itself in one way",
                hint: "leave one of \(readers.keys.sorted().joined(separator: ", "))")
        }
        return try reader(settings, files)
    }

    private static func x509PoP(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> any NodeProver {
        try block.allow(["private_key_path", "certificate_path", "intermediates_path"])
        return X509PoPProver(
            .init(
                certificate: try block.required("certificate_path"),
                privateKey: try block.required("private_key_path"),
                intermediates: try block.text("intermediates_path")), files: files)
    }

    private static func sshPoP(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> any NodeProver {
        try block.allow(["host_key_path", "host_cert_path"])
        return SSHPoPProver(
            hostKey: try block.text("host_key_path") ?? "/etc/ssh/ssh_host_rsa_key",
            hostCertificate: try block.text("host_cert_path") ?? "/etc/ssh/ssh_host_rsa_key-cert.pub", files: files)
    }

    private static func httpChallenge(_ block: ConfigurationBlock) throws(Failure) -> any NodeProver {
        try block.allow(["hostname", "agentname", "port", "advertised_port", "bind_address"])
        return HTTPChallengeProver(
            .init(
                hostname: try block.text("hostname") ?? ProcessInfo.processInfo.hostName,
                agentName: try block.text("agentname") ?? "default",
                port: try block.number("port", in: 0...65535) ?? 0,
                advertisedPort: try block.number("advertised_port", in: 1...65535)),
            bindAddress: try block.text("bind_address"))
    }

    private static func tpmDevID(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> any NodeProver {
        try block.allow([
            "devid_cert_path", "devid_priv_path", "devid_pub_path", "tpm_device_path", "devid_password_path",
            "owner_hierarchy_password_path", "endorsement_hierarchy_password_path",
        ])
        return TPMDevIDProver(
            TPMDevIDProverSettings(
                certificatePath: try block.required("devid_cert_path"),
                privatePath: try block.required("devid_priv_path"), publicPath: try block.required("devid_pub_path"),
                devicePath: try block.text("tpm_device_path"),
                devIDPassword: try password("devid_password_path", block, files),
                ownerPassword: try password("owner_hierarchy_password_path", block, files),
                endorsementPassword: try password("endorsement_hierarchy_password_path", block, files)),
            files: files)
    }

    /// A password from a file of its own, without the line's end; a configuration file is read by too many.
    private static func password(
        _ name: String, _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> SecretBytes {
        guard let path = try block.text(name) else { return SecretBytes([]) }
        let contents: [UInt8]?
        do throws(FileSystemError) { contents = try files.read(path, limit: 4096) } catch {
            throw Failure(.configuration, "\(block.path): \(error)", hint: "name a file that can be read")
        }
        guard var bytes = contents else {
            throw Failure(.configuration, "\(block.path): no file at \(path)", hint: "name an existing file")
        }
        while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { bytes.removeLast() }
        return SecretBytes(bytes)
    }

    private static func k8sPSAT(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> any NodeProver {
        try block.allow(["cluster", "token_path"])
        let cluster = try block.required("cluster")
        guard let path = try block.text("token_path") else { return K8sPSATProver(cluster: cluster, files: files) }
        return K8sPSATProver(cluster: cluster, tokenPath: path, files: files)
    }
}
