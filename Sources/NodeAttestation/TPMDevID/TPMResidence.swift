internal import Foundation
internal import SPIFFE
internal import SwiftASN1
internal import X509

/// What a node shows of its TPM: that one TPM of a known maker holds the DevID key, if it holds the attestation key.
///
/// The one thing left open is whether the attestation key is where the endorsement key is. Only the TPM can show that,
/// by opening a credential made for both.
struct TPMResidence {
    /// The key that the TPM's maker has certified, and that a credential is made for.
    let endorsementKey: TPMPublicArea
    let endorsementCertificate: Certificate
    /// What signed that the DevID key is in its TPM, and must be named by the credential.
    let attestationKey: TPMPublicArea

    /// Judges everything that can be judged without asking the node.
    ///
    /// - Parameters:
    ///   - evidence: What the node shows.
    ///   - devIDKey: The key of its DevID certificate, whose path has been found.
    ///   - authorities: The makers of TPMs that are trusted.
    ///   - now: The time at which their certificates must be valid.
    /// - Throws: ``NodeAttestationError/malformed(_:)`` or ``NodeAttestationError/refused(_:)``.
    init(
        _ evidence: TPMDevIDMessages.Evidence, devIDKey: Certificate.PublicKey, authorities: [Certificate], now: Date
    ) throws(NodeAttestationError) {
        let devID = try Self.parse("the DevID key's public area", evidence.devIDPublic)
        guard devID.certificateKey == devIDKey else {
            throw .refused("the DevID certificate is for another key than the TPM's")
        }
        try Self.demand([.resident, .sign], of: devID, "the DevID key")

        (endorsementKey, endorsementCertificate) = try Self.endorsement(evidence, authorities: authorities, now: now)

        attestationKey = try Self.parse("the attestation key's public area", evidence.attestationPublic)
        try Self.demand([.resident, .sign, .restricted], without: .decrypt, of: attestationKey, "the attestation key")
        try Self.checkCertification(evidence, of: devID, by: attestationKey)
    }

    private static func endorsement(
        _ evidence: TPMDevIDMessages.Evidence, authorities: [Certificate], now: Date
    ) throws(NodeAttestationError) -> (TPMPublicArea, Certificate) {
        let certificate: Certificate
        do throws(SPIFFEError) {
            certificate = try DERConcatenation.certificate(in: evidence.endorsementCertificate[...])
        } catch {
            throw .malformed("the endorsement certificate cannot be parsed")
        }
        let key = try parse("the endorsement key's public area", evidence.endorsementPublic)
        guard key.certificateKey == certificate.publicKey else {
            throw .refused("the endorsement certificate is for another key than the TPM's")
        }
        try demand([.fixedTPM, .fixedParent, .restricted, .decrypt], without: .sign, of: key, "the endorsement key")
        do throws(SPIFFEError) {
            _ = try CertificatePathVerification.path(presented: [certificate], authorities: authorities, at: now)
        } catch {
            throw .refused("the endorsement certificate: \(error.message)")
        }
        try checkUsage(certificate, of: key)
        return (key, certificate)
    }

    /// What an endorsement certificate says that its key is for, where it says so (TCG EK Credential Profile §3.2).
    private static func checkUsage(_ certificate: Certificate, of key: TPMPublicArea) throws(NodeAttestationError) {
        do {
            if let usage = try certificate.extensions.extendedKeyUsage {
                guard usage.contains(where: { $0 == endorsementUsage || $0 == .any }) else {
                    throw NodeAttestationError.refused("the endorsement certificate is not one of a TPM's")
                }
            }
            guard let usage = try certificate.extensions.keyUsage else { return }
            let isMeant =
                switch key.key {
                case .rsa: usage.keyEncipherment
                case .elliptic: usage.keyAgreement
                }
            guard isMeant else {
                throw NodeAttestationError.refused("the endorsement certificate is not for a key that protects others")
            }
        } catch let error as NodeAttestationError {
            throw error
        } catch {
            throw .malformed("the endorsement certificate's extensions cannot be parsed")
        }
    }

    /// `tcg-kp-EKCertificate`.
    private static let endorsementUsage = ExtendedKeyUsage.Usage(oid: [2, 23, 133, 8, 1])

    private static func checkCertification(
        _ evidence: TPMDevIDMessages.Evidence, of devID: TPMPublicArea, by attestationKey: TPMPublicArea
    ) throws(NodeAttestationError) {
        let signature: TPMSignature
        do throws(TPMFormatError) { signature = try TPMSignature(parsing: evidence.certificationSignature) } catch {
            throw .malformed("the signature over the TPM's statement: \(error)")
        }
        guard attestationKey.scheme == signature.scheme else {
            throw .refused("the TPM's statement is not signed in the attestation key's way")
        }
        guard let key = attestationKey.certificateKey,
            key.isValidSignature(
                signature.x509Bytes, for: evidence.certification,
                signatureAlgorithm: signature.scheme.certificateAlgorithm)
        else { throw .refused("the TPM's statement is not signed by the attestation key") }
        let statement: TPMCertification
        do throws(TPMFormatError) { statement = try TPMCertification(parsing: evidence.certification) } catch {
            throw .malformed("the TPM's statement: \(error)")
        }
        guard statement.name == devID.name else { throw .refused("the TPM's statement is about another key") }
    }

    private static func parse(_ name: String, _ bytes: [UInt8]) throws(NodeAttestationError) -> TPMPublicArea {
        do throws(TPMFormatError) { return try TPMPublicArea(parsing: bytes) } catch {
            throw .malformed("\(name): \(error)")
        }
    }

    private static func demand(
        _ attributes: TPMObjectAttributes, without unwanted: TPMObjectAttributes = [], of key: TPMPublicArea,
        _ name: String
    ) throws(NodeAttestationError) {
        guard key.attributes.isSuperset(of: attributes), key.attributes.isDisjoint(with: unwanted) else {
            throw .refused("\(name) is not kept by its TPM as it must be")
        }
    }
}
