internal import Crypto
internal import CryptoExtras
internal import SPIFFE
internal import X509

/// What an entry says of its SVIDs, judged when one is asked for.
enum EntryIssuanceRule {
    /// The identity to issue.
    ///
    /// - Throws: `outsideTemplate` when an identity is named that the template cannot become, when there is a template and
    ///   none is named, or none and one is.
    static func identity(of entry: Entry, asked: SPIFFEID?) throws(IssuanceError) -> SPIFFEID {
        switch (entry.contents.details.template, asked) {
        case (nil, nil): return entry.contents.spiffeID
        case (let template?, let asked?):
            guard template.admits(asked, under: entry.contents.spiffeID) else { throw .outsideTemplate }
            return asked
        case (nil, _?), (_?, nil): throw .outsideTemplate
        }
    }

    /// Refuses a key of another kind than the entry asks for.
    ///
    /// - Throws: `otherKeyType`.
    static func check(_ request: SigningRequest, for entry: Entry) throws(IssuanceError) {
        guard let asked = entry.contents.details.keyType else { return }
        guard type(of: request.publicKey) == asked else { throw .otherKeyType(asked: asked) }
    }

    /// Refuses an audience that the entry does not allow; values are compared byte for byte.
    ///
    /// - Throws: `audienceNotAllowed`.
    static func check(audience: [String], for entry: Entry) throws(IssuanceError) {
        let allowed = Set(entry.contents.details.audiences.map { ExactText($0) })
        guard !allowed.isEmpty else { return }
        for value in audience where !allowed.contains(ExactText(value)) {
            throw .audienceNotAllowed(String(value.prefix(AudienceRule.maximumBytes)), entryID: entry.id)
        }
    }

    private static func type(of key: Certificate.PublicKey) -> WorkloadKeyType? {
        if P256.Signing.PublicKey(key) != nil { return .ecP256 }
        if P384.Signing.PublicKey(key) != nil { return .ecP384 }
        return _RSA.Signing.PublicKey(key)?.keySizeInBits == 2048 ? .rsa2048 : nil
    }
}
