internal import Foundation

extension IssuanceFact {
    /// That an X.509-SVID was signed.
    ///
    /// - Parameters:
    ///   - svid: What was signed.
    ///   - entry: What it was signed for; nil for what no entry names.
    package init(_ svid: IssuedX509SVID, entry: Entry?) {
        self = .issued(svid.id, expiresAt: svid.lifetime.validity.upperBound, limit: svid.lifetime.limit)
        lifetime = GrantedLifetime(svid.lifetime)
        (entryID, entryRevision) = (entry?.id, entry?.revision)
        serial = svid.serial
    }

    /// That a JWT-SVID was signed.
    package init(_ svid: IssuedJWTSVID, audience: [String], entry: Entry?) {
        self = .issued(svid.id, expiresAt: svid.lifetime.validity.upperBound, limit: svid.lifetime.limit)
        lifetime = GrantedLifetime(svid.lifetime)
        (entryID, entryRevision) = (entry?.id, entry?.revision)
        tokenID = svid.tokenID
        self.audience = audience
    }

    /// The same, signed but never handed out.
    package func withheld(because reason: String) -> IssuanceFact {
        guard outcome == .issued else { return self }
        var fact = self
        fact.outcome = .denied
        fact.reason = Self.cut("signed and not handed out: \(reason)")
        return fact
    }
}
