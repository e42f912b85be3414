internal import SPIFFE

/// What the halves of `tpm_devid` send each other, in the words of SPIRE's attestor of that name.
package enum TPMDevIDMessages {
    /// What a node shows first.
    ///
    /// Structures of TPMs come without their length before them.
    package struct Evidence: Sendable, Equatable {
        /// The DevID certificate and its intermediates, DER.
        package var devIDCertificates: [[UInt8]]
        /// The public area of the DevID key.
        package var devIDPublic: [UInt8]
        /// The endorsement certificate, DER.
        package var endorsementCertificate: [UInt8]
        /// The public area of the endorsement key.
        package var endorsementPublic: [UInt8]
        /// The public area of an attestation key.
        package var attestationPublic: [UInt8]
        /// The TPM's statement that it holds the DevID key.
        package var certification: [UInt8]
        /// The attestation key's signature over the statement.
        package var certificationSignature: [UInt8]

        package init(
            devIDCertificates: [[UInt8]], devIDPublic: [UInt8], endorsementCertificate: [UInt8],
            endorsementPublic: [UInt8], attestationPublic: [UInt8], certification: [UInt8],
            certificationSignature: [UInt8]
        ) {
            (self.devIDCertificates, self.devIDPublic) = (devIDCertificates, devIDPublic)
            self.endorsementCertificate = endorsementCertificate
            (self.endorsementPublic, self.attestationPublic) = (endorsementPublic, attestationPublic)
            (self.certification, self.certificationSignature) = (certification, certificationSignature)
        }

        package init(parsing payload: [UInt8]) throws(NodeAttestationError) {
            let message = try EvidenceMessage(payload, as: "payload")
            devIDCertificates = try message.list("DevIDCert")
            devIDPublic = try message.bytes("DevIDPub")
            endorsementCertificate = try message.bytes("EKCert")
            endorsementPublic = try message.bytes("EKPub")
            attestationPublic = try message.bytes("AKPub")
            certification = try message.bytes("CertifiedDevID")
            certificationSignature = try message.bytes("CertificationSignature")
        }

        package var message: [UInt8] {
            JSONValue.members([
                "DevIDCert": .array(devIDCertificates.map { .base64($0) }), "DevIDPub": .base64(devIDPublic),
                "EKCert": .base64(endorsementCertificate), "EKPub": .base64(endorsementPublic),
                "AKPub": .base64(attestationPublic), "CertifiedDevID": .base64(certification),
                "CertificationSignature": .base64(certificationSignature),
            ]).message
        }
    }

    /// What a node is asked.
    package struct Challenge: Sendable, Equatable {
        /// What the DevID key shall sign.
        package var nonce: [UInt8]
        /// What only the TPM of the endorsement key can open, and only for the attestation key.
        package var credential: TPMCredential

        package init(nonce: [UInt8], credential: TPMCredential) { (self.nonce, self.credential) = (nonce, credential) }

        package init(parsing challenge: [UInt8]) throws(NodeAttestationError) {
            let message = try EvidenceMessage(challenge, as: "challenge")
            nonce = try message.bytes("DevID")
            guard let inner = try message.message("CredActivation") else {
                throw .malformed("challenge has no credential to activate")
            }
            credential = TPMCredential(blob: try inner.bytes("Credential"), encryptedSeed: try inner.bytes("Secret"))
        }

        package var message: [UInt8] {
            JSONValue.members([
                "DevID": .base64(nonce),
                "CredActivation": .members([
                    "Credential": .base64(credential.blob), "Secret": .base64(credential.encryptedSeed),
                ]),
            ]).message
        }
    }

    /// What a node answers.
    package struct Answer: Sendable, Equatable {
        /// The DevID key's signature over the nonce: of RSA the bytes, of ECDSA the DER.
        package var signature: [UInt8]
        /// What was in the credential.
        package var secret: [UInt8]

        package init(signature: [UInt8], secret: [UInt8]) { (self.signature, self.secret) = (signature, secret) }

        package init(parsing answer: [UInt8]) throws(NodeAttestationError) {
            let message = try EvidenceMessage(answer, as: "answer")
            signature = try message.bytes("DevID")
            secret = try message.bytes("CredActivation")
        }

        package var message: [UInt8] {
            JSONValue.members(["DevID": .base64(signature), "CredActivation": .base64(secret)]).message
        }
    }
}
