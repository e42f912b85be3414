package import Platform

/// Shows this host's SSH certificate, and proves that its key is here: the agent's half of `sshpop`.
///
/// The files are read at each attestation, so that a renewed certificate counts without a restart.
package struct SSHPoPProver: NodeProver {
    private static let maximumFile = 1 << 16

    private let hostKey: String
    private let hostCertificate: String
    private let files: any FileSystem

    /// Creates a prover.
    ///
    /// - Parameters:
    ///   - hostKey: Path of the private key, in OpenSSH's format and without a passphrase.
    ///   - hostCertificate: Path of its certificate, as `ssh-keygen -s` writes it.
    ///   - files: How to read them.
    package init(hostKey: String, hostCertificate: String, files: any FileSystem) {
        (self.hostKey, self.hostCertificate, self.files) = (hostKey, hostCertificate, files)
    }

    package var type: String { SSHPoPAttestor.type }

    package func payload() async throws(NodeAttestationError) -> [UInt8] {
        let blob: [UInt8]
        do throws(NodeAttestationError) { blob = try SSHKeyLine.blob(try read(hostCertificate)) } catch .malformed {
            throw .unavailable("\(hostCertificate) is not an SSH certificate")
        }
        return SSHPoPMessages.payload(blob)
    }

    package func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        let nonces = try PossessionNonces(
            challenger: try SSHPoPMessages.nonce(in: challenge), responder: PossessionNonces.draw())
        let key = try SSHPrivateKey(pem: try read(hostKey))
        return SSHPoPMessages.answer(try key.sign(Array(nonces.digest)), nonce: nonces.responder)
    }

    private func read(_ path: String) throws(NodeAttestationError) -> String {
        let contents: [UInt8]?
        do throws(FileSystemError) { contents = try files.read(path, limit: Self.maximumFile) } catch {
            throw .unavailable("\(error)")
        }
        guard let contents else { throw .unavailable("no file at \(path)") }
        return String(decoding: contents, as: UTF8.self)
    }
}
