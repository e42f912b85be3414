internal import Crypto
internal import Foundation
package import Platform
internal import SPIFFE
internal import X509

/// Lets devices in whose TPM holds the key of a certificate for the device: `tpm_devid`.
///
/// The DevID certificate (IEEE 802.1AR) must lead to an authority for devices, the endorsement certificate to a maker of
/// TPMs. The TPM states with a key that signs nothing but its own statements that it holds the DevID key, and opens a
/// credential that is made for its endorsement key and names that key. The DevID key signs a nonce.
package struct TPMDevIDAttestor: NodeAttestor {
    package static let type = "tpm_devid"

    /// The most certificates that a device may show, its own among them.
    private static let maximumCertificates = 5
    private static let nonceLength = 32

    private let settings: TPMDevIDSettings
    private let entropy: any Entropy

    package init(_ settings: TPMDevIDSettings, entropy: any Entropy = SystemEntropy()) {
        (self.settings, self.entropy) = (settings, entropy)
    }

    package var type: String { Self.type }
    package var canReattest: Bool { true }

    package func attest(
        _ payload: [UInt8], context: NodeAttestationContext, exchange: any ChallengeExchange
    ) async throws(NodeAttestationError) -> AttestedNode {
        let evidence = try TPMDevIDMessages.Evidence(parsing: payload)
        let path = try devicePath(evidence, now: context.now)
        let residence = try TPMResidence(
            evidence, devIDKey: path[0].publicKey, authorities: settings.endorsementAuthorities, now: context.now)

        var entropy = entropy
        let nonce = entropy.bytes(Self.nonceLength)
        let secret = entropy.bytes(residence.endorsementKey.nameAlgorithm.size)
        let credential: TPMCredential
        do throws(TPMFormatError) {
            credential = try TPMCredential(
                protecting: secret, for: residence.attestationKey.name, endorsementKey: residence.endorsementKey,
                using: &entropy)
        } catch {
            throw .refused("\(error)")
        }
        let challenge = TPMDevIDMessages.Challenge(nonce: nonce, credential: credential)
        let answer = try TPMDevIDMessages.Answer(parsing: await exchange.answer(to: challenge.message))
        guard Self.isSigned(nonce, answer.signature, by: path[0].publicKey) else {
            throw .refused("the nonce is not signed by the DevID key")
        }
        // Both are of a fixed length by now, and each secret is asked for once.
        guard answer.secret == secret else { throw .refused("the TPM does not hold both keys") }
        let device = TPMDevice(path: path, endorsementCertificate: residence.endorsementCertificate)
        return AttestedNode(path: try device.agentPath, selectors: try device.selectors, canReattest: true)
    }

    /// Finds the path from the DevID certificate to an authority, leaf first.
    private func devicePath(
        _ evidence: TPMDevIDMessages.Evidence, now: Date
    ) throws(NodeAttestationError) -> [Certificate] {
        guard evidence.devIDCertificates.count <= Self.maximumCertificates else {
            throw .malformed("payload holds more than \(Self.maximumCertificates) DevID certificates")
        }
        var presented: [Certificate] = []
        for der in evidence.devIDCertificates {
            do throws(SPIFFEError) { presented.append(try DERConcatenation.certificate(in: der[...])) } catch {
                throw .malformed("DevID certificate \(presented.count + 1) cannot be parsed")
            }
        }
        guard let leaf = presented.first else { throw .malformed("payload holds no DevID certificate") }
        let path: [Certificate]
        do throws(SPIFFEError) {
            path = try CertificatePathVerification.path(
                presented: presented, authorities: settings.devIDAuthorities, at: now)
        } catch {
            throw .refused("the DevID certificate: \(error.message)")
        }
        guard let usage = try? leaf.extensions.keyUsage else { return path }
        guard usage.digitalSignature else { throw .refused("the DevID certificate is not for signatures") }
        return path
    }

    /// Whether a nonce is signed as the field's agents sign it: over SHA-256, whatever the size of the key.
    private static func isSigned(_ nonce: [UInt8], _ signature: [UInt8], by key: Certificate.PublicKey) -> Bool {
        [TPMSignatureScheme.rsassa(.sha256), .ecdsa(.sha256)].contains { scheme in
            key.isValidSignature(signature, for: nonce, signatureAlgorithm: scheme.certificateAlgorithm)
        }
    }
}
