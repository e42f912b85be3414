internal import CryptoExtras
internal import SPIFFE
internal import SwiftASN1
internal import X509

/// Lets nodes in that hold the key of a certificate from an authority that is trusted for it: `x509pop`.
package struct X509PoPAttestor: NodeAttestor {
    package static let type = "x509pop"

    private let settings: X509PoPSettings

    package init(_ settings: X509PoPSettings) { self.settings = settings }

    package var type: String { Self.type }
    package var canReattest: Bool { true }

    package func attest(
        _ payload: [UInt8], context: NodeAttestationContext, exchange: any ChallengeExchange
    ) async throws(NodeAttestationError) -> AttestedNode {
        let chain = try presented(in: payload)
        let leaf = chain[0]
        let key = try PossessionKey(leaf.publicKey, maximumRSABits: settings.maximumRSABits)
        guard (try? leaf.extensions.keyUsage)?.digitalSignature == true else {
            throw .refused("the certificate's key is not for digital signatures")
        }
        let (path, svidPath) = try judge(chain, context)
        if settings.verifiesClientAddress { try checkAddress(leaf, context.peerAddress) }

        let nonce = PossessionNonces.draw()
        let answer = try await exchange.answer(to: X509PoPMessages.challenge(key.scheme, nonce: nonce))
        let (signature, theirs) = try X509PoPMessages.signature(in: answer, for: key.scheme)
        guard key.hasSigned(try PossessionNonces(challenger: nonce, responder: theirs), signature) else {
            throw .refused("the signature is not by the certificate's key")
        }
        let facts = try CertificateFacts(leaf, trustDomain: context.trustDomain)
        return AttestedNode(
            path: try agentPath(facts, svidPath: svidPath, context),
            selectors: try facts.selectors(issuedBy: path.dropFirst()), canReattest: true)
    }

    /// The certificates of a payload; how many there may be is judged before any is read.
    private func presented(in payload: [UInt8]) throws(NodeAttestationError) -> [Certificate] {
        let chain = try X509PoPMessages.chain(in: payload)
        guard !chain.isEmpty else { throw .malformed("payload holds no certificate") }
        guard chain.count - 1 <= settings.maximumIntermediates else {
            throw .refused("more than \(settings.maximumIntermediates) intermediate certificates")
        }
        var certificates: [Certificate] = []
        for der in chain {
            do throws(SPIFFEError) { certificates.append(try DERConcatenation.certificate(in: der[...])) } catch {
                throw .malformed("certificate \(certificates.count + 1) cannot be parsed")
            }
        }
        // ECDSA keys are of few sizes; an RSA key may be of any, and verifying with it takes its time.
        let isTooLarge = certificates.dropFirst().contains {
            _RSA.Signing.PublicKey($0.publicKey).map { $0.keySizeInBits > settings.maximumRSABits } ?? false
        }
        guard !isTooLarge else {
            throw .refused("an intermediate's RSA key is larger than \(settings.maximumRSABits) bits")
        }
        return certificates
    }

    /// Finds the path to an authority.
    ///
    /// - Returns: The path, leaf first, and what is left of the SVID's path where one is asked for.
    private func judge(
        _ chain: [Certificate], _ context: NodeAttestationContext
    ) throws(NodeAttestationError) -> (path: [Certificate], svidPath: String?) {
        do throws(SPIFFEError) {
            switch settings.trust {
            case .external(let authorities):
                return (
                    try CertificatePathVerification.path(presented: chain, authorities: authorities, at: context.now),
                    nil
                )
            case .ownSVIDs(let prefix, let bundle):
                let svid = try X509SVIDVerification.verify(chain, at: context.now) {
                    $0 == context.trustDomain ? bundle() : nil
                }
                guard svid.id.path.hasPrefix(prefix), svid.id.path.count > prefix.count else {
                    throw SPIFFEError(.untrusted, "the SVID's path does not start with '\(prefix)'")
                }
                return (svid.chain, String(svid.id.path.dropFirst(prefix.count)))
            }
        } catch { throw .refused("certificate chain: \(error.message)") }
    }

    private func checkAddress(_ leaf: Certificate, _ address: String?) throws(NodeAttestationError) {
        guard let peer = address.flatMap({ AddressBytes.parse($0) }) else {
            throw .refused("the caller's address is not known")
        }
        let names = (try? leaf.extensions.subjectAlternativeNames) ?? nil
        for name in names ?? SubjectAlternativeNames() {
            if case .ipAddress(let octets) = name, Array(octets.bytes) == peer { return }
        }
        throw .refused("the certificate does not name the caller's address")
    }

    private func agentPath(
        _ facts: CertificateFacts, svidPath: String?, _ context: NodeAttestationContext
    ) throws(NodeAttestationError) -> String {
        guard let template = settings.pathTemplate else { return "\(type)/\(svidPath ?? facts.fingerprint)" }
        var values = facts.sanSelectors.reduce(into: [String: String]()) {
            $0["URISanSelectors.\($1.key)"] = $1.value
        }
        values["PluginName"] = type
        values["TrustDomain"] = context.trustDomain.name
        values["Fingerprint"] = facts.fingerprint
        values["SerialNumberHex"] = facts.serialNumber
        values["Subject.CommonName"] = facts.commonName
        values["SVIDPathTrimmed"] = svidPath
        return try template.path(values, mayHoldSlashes: ["SVIDPathTrimmed"])
    }
}
