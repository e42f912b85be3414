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
    ]

    /// Reads and judges the block.
    ///
    /// - Returns: nil when there is none.
    /// - Throws: ``Failure`` with status `configuration`.
    static func prover(
        _ block: ConfigurationBlock?, files: any FileSystem
    ) throws(Failure) -> (any NodeProver)? {
        guard let block else { return nil }
        try block.requireOnly(readers.keys.sorted())
        guard let name = block.names.first, block.names.count == 1, let reader = readers[name],
            let settings = try block.block(name)
        else {
            throw Failure(
                .configuration, "\(block.place): a node proves itself in one way",
                hint: "leave one of \(readers.keys.sorted().joined(separator: ", "))")
        }
        return try reader(settings, files)
    }

    private static func x509PoP(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> any NodeProver {
        try block.requireOnly(["private_key_path", "certificate_path", "intermediates_path"])
        return X509PoPProver(
            .init(
                certificate: try block.required("certificate_path"),
                privateKey: try block.required("private_key_path"),
                intermediates: try block.text("intermediates_path")), files: files)
    }

    private static func sshPoP(
        _ block: ConfigurationBlock, _ files: any FileSystem
    ) throws(Failure) -> any NodeProver {
        try block.requireOnly(["host_key_path", "host_cert_path"])
        return SSHPoPProver(
            hostKey: try block.text("host_key_path") ?? "/etc/ssh/ssh_host_rsa_key",
            hostCertificate: try block.text("host_cert_path") ?? "/etc/ssh/ssh_host_rsa_key-cert.pub", files: files)
    }

    private static func httpChallenge(_ block: ConfigurationBlock) throws(Failure) -> any NodeProver {
        try block.requireOnly(["hostname", "agentname", "port", "advertised_port", "bind_address"])
        return HTTPChallengeProver(
            .init(
                hostname: try block.text("hostname") ?? ProcessInfo.processInfo.hostName,
                agentName: try block.text("agentname") ?? "default",
                port: try block.number("port", in: 0...65535) ?? 0,
                advertisedPort: try block.number("advertised_port", in: 1...65535)),
            bindAddress: try block.text("bind_address"))
    }
}
