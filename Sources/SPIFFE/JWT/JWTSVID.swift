public import Foundation

/// A JWT-SVID whose signature, audience and times have been checked.
///
/// Only ``verify(_:audience:at:leeway:bundle:)-(_,JWTAudience,_,_,_)`` makes one.
public struct JWTSVID: Sendable {
    /// How far clocks may disagree, in seconds, unless the caller says otherwise (J15).
    public static let defaultLeeway: TimeInterval = 60

    /// Who the caller is.
    ///
    /// May be a trust domain's own ID, without a path: the documents do not forbid it, and nobody issues it (C-13). Ask
    /// ``SPIFFEID/hasPath`` where that matters.
    public let id: SPIFFEID

    /// Whom the token is for.
    public let audience: [String]

    /// When it ends.
    public let expiry: Date

    /// When it begins, if it says so.
    public let notBefore: Date?

    /// When it was issued, if it says so.
    ///
    /// Nothing is judged by it (J18).
    public let issuedAt: Date?

    /// The token itself.
    ///
    /// A bearer credential: keep it out of logs.
    public let token: String

    package let claims: JSONObject

    /// Verifies a token for a service that answers to one or several names (JWT-13..22, J01..J24).
    ///
    /// - Parameters:
    ///   - token: The compact serialization.
    ///   - audience: The names that the verifier answers to; the token must be for one of them.
    ///   - instant: The time at which the token must be valid.
    ///   - leeway: How far clocks may disagree, in seconds; less than zero makes tokens end early.
    ///   - bundle: Looks up the JWT bundle of a trust domain; nil means that the domain is not trusted.
    /// - Returns: The token with its identity, now proven.
    /// - Throws: ``SPIFFEError`` with code `invalidJWTSVID`, `invalidID`, `invalidTrustDomain`, `unknownTrustDomain`,
    ///   `untrusted`, `outsideValidity` or `audienceMismatch`.
    public static func verify(
        _ token: String, audience: JWTAudience, at instant: Date, leeway: TimeInterval = defaultLeeway,
        bundle: (TrustDomain) -> JWTBundle?
    ) throws(SPIFFEError) -> JWTSVID {
        let parsed = try UnverifiedJWTSVID(parsing: token)
        guard let bundle = bundle(parsed.subject.trustDomain), bundle.trustDomain == parsed.subject.trustDomain else {
            throw SPIFFEError(
                .unknownTrustDomain, "no bundle is held for trust domain \(parsed.subject.trustDomain)")
        }
        guard let key = bundle.authority(named: parsed.keyID) else {
            throw SPIFFEError(.untrusted, "no authority of \(parsed.subject.trustDomain) has the token's key ID")
        }
        guard key.supports(parsed.algorithm) else {
            throw SPIFFEError(.untrusted, "token algorithm does not fit the authority's key")
        }
        guard key.isValidSignature(parsed.signature, for: parsed.signingInput, algorithm: parsed.algorithm) else {
            throw SPIFFEError(.untrusted, "token signature is not valid")
        }
        let now = instant.timeIntervalSince1970
        guard now < parsed.expiry + leeway else { throw SPIFFEError(.outsideValidity, "token has expired") }
        if let notBefore = parsed.notBefore {
            guard now > notBefore - leeway else { throw SPIFFEError(.outsideValidity, "token is not valid yet") }
        }
        guard audience.matches(parsed.audience) else {
            throw SPIFFEError(.audienceMismatch, "token is meant for another audience")
        }
        return JWTSVID(parsed, token: token)
    }

    /// Verifies a token for a service that answers to one name.
    ///
    /// - Parameters:
    ///   - token: The compact serialization.
    ///   - audience: The name that the verifier answers to; nothing passes when it is empty.
    ///   - instant: The time at which the token must be valid.
    ///   - leeway: How far clocks may disagree, in seconds; less than zero makes tokens end early.
    ///   - bundle: Looks up the JWT bundle of a trust domain; nil means that the domain is not trusted.
    /// - Returns: The token with its identity, now proven.
    /// - Throws: ``SPIFFEError``, as for a ``JWTAudience``.
    public static func verify(
        _ token: String, audience: String, at instant: Date, leeway: TimeInterval = defaultLeeway,
        bundle: (TrustDomain) -> JWTBundle?
    ) throws(SPIFFEError) -> JWTSVID {
        try verify(token, audience: try JWTAudience(audience), at: instant, leeway: leeway, bundle: bundle)
    }

    private init(_ verified: UnverifiedJWTSVID, token: String) {
        id = verified.subject
        audience = verified.audience
        expiry = Date(timeIntervalSince1970: verified.expiry)
        notBefore = verified.notBefore.map { Date(timeIntervalSince1970: $0) }
        issuedAt = verified.issuedAt.map { Date(timeIntervalSince1970: $0) }
        claims = verified.claims
        self.token = token
    }
}

extension JWTSVID {
    /// Every claim as a JSON object, for a decoder.
    public var claimsJSON: String { JSONValue.object(claims).compactText }

    /// Looks up a claim, registered or the issuer's own.
    ///
    /// - Parameter name: Its name, compared byte for byte.
    /// - Returns: Its value, or nil when the token does not state it.
    public func claim(_ name: String) -> JWTClaim? { claims[name].map { JWTClaim($0) } }
}

extension JWTSVID: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Names the identity, never the token.
    public var description: String { "JWTSVID(\(id), token: <redacted>)" }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// Shows the identity alone.
    public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}
