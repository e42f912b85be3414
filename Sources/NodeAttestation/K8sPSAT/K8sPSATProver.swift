package import Platform

/// Shows the token that the cluster has made for the agent's pod: the agent's half of `k8s_psat`.
///
/// The token is read at each attestation, because clusters renew it.
package struct K8sPSATProver: NodeProver {
    /// Where pods of the field have the token.
    package static let defaultTokenPath = "/var/run/secrets/tokens/spire-agent"

    /// A little less than a payload may have.
    private static let maximumToken = 48 << 10

    private let cluster: String
    private let tokenPath: String
    private let files: any FileSystem

    /// Creates the prover.
    ///
    /// - Parameters:
    ///   - cluster: What the issuer calls this cluster (`cluster`).
    ///   - tokenPath: The projected token (`token_path`).
    ///   - files: Where the token is read.
    package init(cluster: String, tokenPath: String = defaultTokenPath, files: any FileSystem) {
        (self.cluster, self.tokenPath, self.files) = (cluster, tokenPath, files)
    }

    package var type: String { K8sPSATAttestor.type }

    package func payload() async throws(NodeAttestationError) -> [UInt8] {
        let contents: [UInt8]?
        do throws(FileSystemError) { contents = try files.read(tokenPath, limit: Self.maximumToken) } catch {
            throw .unavailable("\(error)")
        }
        guard let contents else { throw .unavailable("no token at \(tokenPath)") }
        // A token has no line ends; whoever writes one by hand leaves one.
        let token = contents.filter { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        guard !token.isEmpty, token.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .unavailable("\(tokenPath) does not hold a token")
        }
        return K8sPSATMessages.payload(cluster: cluster, token: String(decoding: token, as: UTF8.self))
    }

    package func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        throw .exchange("a challenge came, and none was to be expected")
    }
}
