package import Foundation
package import Platform
package import SPIFFE
internal import X509

/// Issues SVIDs under the active authorities: decide, prepare, check, sign, check again.
package struct SVIDIssuer: Sendable {
    /// Lifetimes where an entry does not say, and what goes into tokens.
    package struct Settings: Hashable, Sendable {
        package var x509TTL: Duration
        package var jwtTTL: Duration
        package var agentTTL: Duration
        /// The `iss` claim; none when nil.
        package var jwtIssuer: String?

        package init(
            x509TTL: Duration = .seconds(3600), jwtTTL: Duration = .seconds(300),
            agentTTL: Duration = .seconds(3 * 3600),
            jwtIssuer: String? = nil
        ) {
            (self.x509TTL, self.jwtTTL, self.agentTTL, self.jwtIssuer) = (x509TTL, jwtTTL, agentTTL, jwtIssuer)
        }
    }

    package let trustDomain: TrustDomain
    package let settings: Settings
    private let authorities: AuthorityKeeper

    package init(trustDomain: TrustDomain, settings: Settings, authorities: AuthorityKeeper) {
        (self.trustDomain, self.settings, self.authorities) = (trustDomain, settings, authorities)
    }

    /// Issues an X.509-SVID for a registered workload.
    ///
    /// - Parameters:
    ///   - entry: Says what is issued.
    ///   - identity: What the entry's template became; nil for an entry without one.
    ///   - request: Proves possession of the key.
    ///   - ceilings: Whatever else it may not outlive.
    ///   - now: The time.
    ///   - entropy: For the serial number.
    /// - Returns: The SVID, with the rule that set its end.
    /// - Throws: ``IssuanceError``.
    package func x509SVID(
        for entry: Entry, as identity: SPIFFEID? = nil, request: SigningRequest, ceilings: [LifetimeCeiling] = [],
        now: Date,
        using entropy: inout some Entropy
    ) throws(IssuanceError) -> IssuedX509SVID {
        try EntryIssuanceRule.check(request, for: entry)
        let svid = try sign(
            id: EntryIssuanceRule.identity(of: entry, asked: identity), request: request,
            dnsNames: entry.contents.dnsNames,
            asked: entry.contents.x509TTL, defaultTTL: settings.x509TTL, end: entry.contents.expiresAt,
            ceilings: ceilings, now: now, using: &entropy)
        IssuanceTrail.current?.note(IssuanceFact(svid, entry: entry))
        return svid
    }

    /// Issues an X.509-SVID for a name: an agent's, the server's own, or one that an admin mints.
    ///
    /// - Parameters:
    ///   - id: The name.
    ///   - request: Proves possession of the key.
    ///   - dnsNames: DNS SANs, beside the ID.
    ///   - asked: The lifetime wanted; nil for the default.
    ///   - defaultTTL: The lifetime when none is wanted.
    ///   - end: What the SVID may not outlive; nil for only the authority.
    ///   - ceilings: Whatever else it may not outlive.
    ///   - now: The time.
    ///   - entropy: For the serial number.
    /// - Returns: The SVID, with the rule that set its end.
    /// - Throws: ``IssuanceError``.
    package func x509SVID(
        id: SPIFFEID, request: SigningRequest, dnsNames: [String] = [], asked: Duration?, defaultTTL: Duration,
        end: Date? = nil, ceilings: [LifetimeCeiling] = [], now: Date, using entropy: inout some Entropy
    ) throws(IssuanceError) -> IssuedX509SVID {
        let svid = try sign(
            id: id, request: request, dnsNames: dnsNames, asked: asked, defaultTTL: defaultTTL, end: end,
            ceilings: ceilings, now: now, using: &entropy)
        IssuanceTrail.current?.note(IssuanceFact(svid, entry: nil))
        return svid
    }

    private func sign(
        id: SPIFFEID, request: SigningRequest, dnsNames: [String], asked: Duration?, defaultTTL: Duration, end: Date?,
        ceilings: [LifetimeCeiling], now: Date, using entropy: inout some Entropy
    ) throws(IssuanceError) -> IssuedX509SVID {
        let authority = authorities.snapshot.x509
        let lifetime = try LifetimeDecision(
            asked: asked ?? defaultTTL, isDefault: asked == nil, entryEnd: end, ceilings: ceilings,
            authority: authority.validity, now: now)
        let template = LeafTemplate(
            id: id, key: request.key, validity: lifetime.validity, dnsNames: dnsNames,
            serial: SerialNumber.positive(entropy.bytes(16)))
        let permit = try LeafLint.check(template, under: authority, trustDomain: trustDomain)
        let leaf = try LeafSigner.sign(permit)
        return IssuedX509SVID(
            id: id, chain: [leaf] + authority.chain, serial: SerialNumber.text(template.serial), lifetime: lifetime,
            authorityID: authority.record.id)
    }

    /// Issues a JWT-SVID for a registered workload (JWT-01..12).
    ///
    /// - Throws: ``IssuanceError``.
    package func jwtSVID(
        for entry: Entry, as identity: SPIFFEID? = nil, audience: [String], ceilings: [LifetimeCeiling] = [], now: Date,
        using entropy: inout some Entropy
    ) throws(IssuanceError) -> IssuedJWTSVID {
        try EntryIssuanceRule.check(audience: audience, for: entry)
        let svid = try sign(
            id: EntryIssuanceRule.identity(of: entry, asked: identity), audience: audience,
            asked: entry.contents.jwtTTL, end: entry.contents.expiresAt, ceilings: ceilings, now: now, using: &entropy)
        IssuanceTrail.current?.note(IssuanceFact(svid, audience: audience, entry: entry))
        return svid
    }

    /// Issues a JWT-SVID for a name.
    ///
    /// - Throws: ``IssuanceError``.
    package func jwtSVID(
        id: SPIFFEID, audience: [String], asked: Duration?, end: Date? = nil, ceilings: [LifetimeCeiling] = [],
        now: Date, using entropy: inout some Entropy
    ) throws(IssuanceError) -> IssuedJWTSVID {
        let svid = try sign(
            id: id, audience: audience, asked: asked, end: end, ceilings: ceilings, now: now, using: &entropy)
        IssuanceTrail.current?.note(IssuanceFact(svid, audience: audience, entry: nil))
        return svid
    }

    private func sign(
        id: SPIFFEID, audience: [String], asked: Duration?, end: Date?, ceilings: [LifetimeCeiling], now: Date,
        using entropy: inout some Entropy
    ) throws(IssuanceError) -> IssuedJWTSVID {
        guard id.trustDomain == trustDomain else { throw .foreignTrustDomain(id) }
        guard id.hasPath else { throw .lintFailed(detail: "subject names the trust domain itself (C-13)") }
        let audience = try AudienceRule.check(audience)
        let authority = authorities.snapshot.jwt
        let lifetime = try LifetimeDecision(
            asked: asked ?? settings.jwtTTL, isDefault: asked == nil, entryEnd: end, ceilings: ceilings,
            authority: authority.record.notBefore..<authority.record.notAfter, now: now)
        return try JWTSigner.sign(
            JWTTemplate(
                id: id, audience: audience, issuedAt: now, lifetime: lifetime, issuer: settings.jwtIssuer,
                tokenID: RandomID.draw(using: &entropy)),
            under: authority, using: &entropy)
    }
}

/// An X.509-SVID that passed every check.
package struct IssuedX509SVID: Sendable {
    package let id: SPIFFEID
    /// DER, leaf first.
    package let chain: [[UInt8]]
    /// Lower-case hex.
    package let serial: String
    package let lifetime: LifetimeDecision
    /// Which authority signed it.
    package let authorityID: String
}

/// A JWT-SVID that passed every check.
package struct IssuedJWTSVID: Sendable {
    package let id: SPIFFEID
    package let token: SecretText
    /// The `jti` claim.
    package let tokenID: String
    package let issuedAt: Date
    package let lifetime: LifetimeDecision
}
