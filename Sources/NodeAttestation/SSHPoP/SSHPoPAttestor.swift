internal import Crypto
internal import Foundation
internal import SPIFFE

/// Lets nodes in that hold the key of an SSH host certificate: `sshpop`.
package struct SSHPoPAttestor: NodeAttestor {
    package static let type = "sshpop"

    /// What placeholders of a path template may name.
    package static let templateFields: Set<String> = ["PluginName", "Fingerprint", "Hostname", "KeyId"]

    private let authorities: [SSHPublicKey]
    private let canonicalDomain: String?
    private let pathTemplate: PathTemplate?

    /// Creates an attestor.
    ///
    /// - Parameters:
    ///   - authorities: Whose host certificates count.
    ///   - canonicalDomain: What host names must end in, without a dot before it; it is cut off.
    ///   - pathTemplate: Nil for the certificate's fingerprint.
    package init(authorities: [SSHPublicKey], canonicalDomain: String? = nil, pathTemplate: PathTemplate? = nil) {
        (self.authorities, self.canonicalDomain, self.pathTemplate) = (authorities, canonicalDomain, pathTemplate)
    }

    package var type: String { Self.type }
    package var canReattest: Bool { true }

    package func attest(
        _ payload: [UInt8], context: NodeAttestationContext, exchange: any ChallengeExchange
    ) async throws(NodeAttestationError) -> AttestedNode {
        let certificate = try SSHHostCertificate(blob: try SSHPoPMessages.certificate(in: payload))
        let hostname = try shortened(try certificate.judge(authorities: authorities, now: context.now))

        let nonce = PossessionNonces.draw()
        let answer = try await exchange.answer(to: SSHPoPMessages.challenge(nonce: nonce))
        let (signature, theirs) = try SSHPoPMessages.signature(in: answer)
        let nonces = try PossessionNonces(challenger: nonce, responder: theirs)
        guard certificate.key.hasSigned(Array(nonces.digest), signature, admitsSHA1: true) else {
            throw .refused("the signature is not by the certificate's key")
        }
        let fingerprint = Base64URL.encode(Array(SHA256.hash(data: certificate.blob)))
        guard let pathTemplate else {
            return AttestedNode(path: "\(type)/\(fingerprint)", selectors: [], canReattest: true)
        }
        let path = try pathTemplate.path([
            "PluginName": type, "Fingerprint": fingerprint, "Hostname": hostname, "KeyId": certificate.keyID,
        ])
        return AttestedNode(path: path, selectors: [], canReattest: true)
    }

    private func shortened(_ name: String) throws(NodeAttestationError) -> String {
        guard let canonicalDomain else { return name }
        let suffix = ".\(canonicalDomain)"
        guard name.hasSuffix(suffix), name.utf8.count > suffix.utf8.count else {
            throw .refused("the SSH certificate's first principal is not in domain '\(canonicalDomain)'")
        }
        return String(name.dropLast(suffix.count))
    }
}
