public import Foundation

/// A JWT-SVID whose signature, audience and times have been checked.
///
/// Only ``verify(_:audience:at:leeway:bundle:)`` makes one.
public struct JWTSVID: Sendable {
    /// How far clocks may disagree, in seconds, unless the caller says otherwise.
    public static let defaultLeeway: TimeInterval = 60

    /// Who the caller is.
    public let id: SPIFFEID

    /// Whom the token is for.
    public let audience: [String]

    /// When it ends.
    public let expiry: Date

    /// The token itself.
    ///
    /// A bearer credential: keep it out of logs.
    public let token: String

    package let claims: JSONObject

    /// Verifies a token for one audience (JWT-13..22, J01..J24).
    ///
    /// - Parameters:
    ///   - token: The compact serialization.
    ///   - audience: The audience the verifier goes by; must not be empty.
    ///   - instant: The time at which the token must be valid.
    ///   - leeway: How far clocks may disagree, in seconds.
    ///   - bundle: Looks up the JWT bundle of a trust domain; nil means that the domain is not trusted.
    /// - Returns: The token with its identity, now proven.
    /// - Throws: ``SPIFFEError`` with code `invalidJWTSVID`, `invalidID`, `unknownTrustDomain`, `untrusted`,
    ///   `outsideValidity` or `audienceMismatch`.
    public static func verify(
        _ token: String, audience: String, at instant: Date, leeway: TimeInterval = defaultLeeway,
        bundle: (TrustDomain) -> JWTBundle?
    ) throws(SPIFFEError) -> JWTSVID {
        guard !audience.isEmpty else { throw SPIFFEError(.audienceMismatch, "no audience to check the token against") }
        let parsed = try UnverifiedJWTSVID(parsing: token)
        guard let bundle = bundle(parsed.subject.trustDomain), bundle.trustDomain == parsed.subject.trustDomain else {
            throw SPIFFEError(
                .unknownTrustDomain, "no bundle is held for trust domain \(parsed.subject.trustDomain)")
        }
        guard let key = bundle.authorities[parsed.keyID] else {
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
        guard parsed.audience.contains(where: { $0.utf8.elementsEqual(audience.utf8) }) else {
            throw SPIFFEError(.audienceMismatch, "token is meant for another audience")
        }
        return JWTSVID(
            id: parsed.subject, audience: parsed.audience, expiry: Date(timeIntervalSince1970: parsed.expiry),
            token: token, claims: parsed.claims)
    }
}

extension JWTSVID: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Names the identity, never the token.
    public var description: String { "JWTSVID(\(id), token: <redacted>)" }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// Shows the identity alone.
    public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}
