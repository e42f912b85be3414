package import Platform

/// What it takes to load a DevID key into the TPM that made it.
package struct TPMDevIDKeys: Sendable {
    let `private`: [UInt8]
    let `public`: TPMPublicArea
    let devIDPassword: SecretBytes
    let ownerPassword: SecretBytes
    let endorsementPassword: SecretBytes

    package init(
        private: [UInt8], public: TPMPublicArea, devIDPassword: SecretBytes = SecretBytes([]),
        ownerPassword: SecretBytes = SecretBytes([]), endorsementPassword: SecretBytes = SecretBytes([])
    ) {
        (self.private, self.public) = (`private`, `public`)
        (self.devIDPassword, self.ownerPassword) = (devIDPassword, ownerPassword)
        self.endorsementPassword = endorsementPassword
    }

    /// How the key signs a nonce: issuers verify with SHA-256.
    var scheme: TPMSignatureScheme {
        if let scheme = `public`.scheme { return scheme }
        switch `public`.key {
        case .rsa: return .rsassa(.sha256)
        case .elliptic: return .ecdsa(.sha256)
        }
    }

    /// What a TPM gives for the first message, and what it needs again for the second.
    package struct Shown: Sendable {
        let endorsementCertificate: [UInt8]
        let endorsementPublic: [UInt8]
        let attestationPublic: [UInt8]
        let certification: [UInt8]
        let certificationSignature: [UInt8]
        package let saved: Saved
    }

    /// The keys, sealed by the TPM between the two messages: nothing stays in it should the second never come.
    package struct Saved: Sendable {
        let devID: [UInt8]
        let attestationKey: [UInt8]
        let endorsementKey: [UInt8]
    }

    /// Makes an attestation key, and lets it state that the DevID key is where it is.
    ///
    /// No more than three keys are in the TPM at once: some hold no more.
    package func show(_ tpm: TPMSession) throws(TPMError) -> Shown {
        var root = try storageRoot(for: `public`.key, tpm)
        let devID = try tpm.load(private: `private`, public: `public`.bytes, below: root)
        if case .elliptic = `public`.key {
            try tpm.flush(root)
            root = try storageRoot(for: .rsa(bits: 2048, modulus: []), tpm)
        }
        let template = try TPMSession.wellFormed(.create) { () throws(TPMFormatError) in
            try TPMTemplate.attestationKey()
        }
        let made = try tpm.create(below: root, template: template)
        let attestationKey = try tpm.load(private: made.private, public: made.public, below: root)
        try tpm.flush(root)
        let certified = try tpm.certify(devID, password: devIDPassword, by: attestationKey)
        let (savedDevID, savedAttestationKey) = (try tpm.save(devID), try tpm.save(attestationKey))
        let endorsement = try endorsement(tpm)
        return Shown(
            endorsementCertificate: endorsement.certificate, endorsementPublic: endorsement.public,
            attestationPublic: made.public, certification: certified.statement,
            certificationSignature: certified.signature,
            saved: Saved(
                devID: savedDevID, attestationKey: savedAttestationKey, endorsementKey: endorsement.saved))
    }

    /// Signs the nonce, and opens the credential.
    package func answer(
        _ challenge: TPMDevIDMessages.Challenge, saved: Saved, _ tpm: TPMSession
    ) throws(TPMError) -> TPMDevIDMessages.Answer {
        let devID = try tpm.restore(saved.devID)
        let signature = try tpm.sign(challenge.nonce, with: devID, password: devIDPassword, scheme: scheme)
        try tpm.flush(devID)
        let attestationKey = try tpm.restore(saved.attestationKey)
        let endorsementKey = try tpm.restore(saved.endorsementKey)
        let secret = try tpm.activate(
            challenge.credential, named: attestationKey, endorsementKey: endorsementKey,
            password: endorsementPassword)
        return TPMDevIDMessages.Answer(signature: signature.x509Bytes, secret: secret)
    }

    /// The endorsement key that has a certificate, and the certificate.
    private func endorsement(
        _ tpm: TPMSession
    ) throws(TPMError) -> (certificate: [UInt8], public: [UInt8], saved: [UInt8]) {
        for kind in TPMEndorsement.allCases {
            guard let contents = try tpm.contents(of: kind.certificateIndex) else { continue }
            let template = try TPMSession.wellFormed(.createPrimary) { () throws(TPMFormatError) in
                try TPMTemplate.endorsementKey(kind)
            }
            let key = try tpm.createPrimary(
                in: TPMNumber.endorsement, template: template, password: endorsementPassword)
            return (Self.certificate(in: contents), key.public, try tpm.save(key.handle))
        }
        throw .transport("it has no endorsement certificate for an RSA-2048 or P-256 key")
    }

    private func storageRoot(for key: TPMPublicArea.Key, _ tpm: TPMSession) throws(TPMError) -> UInt32 {
        let template = try TPMSession.wellFormed(.createPrimary) { () throws(TPMFormatError) in
            try TPMTemplate.storageRoot(for: key)
        }
        return try tpm.createPrimary(in: TPMNumber.owner, template: template, password: ownerPassword).handle
    }

    /// The certificate without what some TPMs have after it; as it is when it does not begin like one.
    private static func certificate(in contents: [UInt8]) -> [UInt8] {
        guard contents.count > 4, contents[0] == 0x30, contents[1] == 0x82 else { return contents }
        return Array(contents.prefix(4 + Int(contents[2]) << 8 + Int(contents[3])))
    }
}
