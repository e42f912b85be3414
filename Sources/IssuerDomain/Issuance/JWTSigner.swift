package import Foundation
internal import Platform
package import SPIFFE

/// A JWT-SVID before it is signed, in full.
package struct JWTTemplate: Sendable {
    package let id: SPIFFEID
    package let audience: [String]
    package let issuedAt: Date
    package let lifetime: LifetimeDecision
    package let issuer: String?
    package let tokenID: String

    package init(
        id: SPIFFEID, audience: [String], issuedAt: Date, lifetime: LifetimeDecision, issuer: String?, tokenID: String
    ) {
        self.id = id
        self.audience = audience
        self.issuedAt = issuedAt
        self.lifetime = lifetime
        self.issuer = issuer
        self.tokenID = tokenID
    }
}

/// Signs tokens: three base64url parts around a signature.
package enum JWTSigner {
    /// Of tokens signed in memory by an elliptic curve, one in so many is verified before it leaves.
    private static let sampling: UInt64 = 64

    /// Signs a template, and reads the token as a stranger would where it may be wrong.
    ///
    /// A device may answer anything, and one wrong RSA signature gives its key away: what they sign is always verified. An
    /// ECDSA signature made in this process takes more than twice as long to check as to make, and only tells whether the
    /// library can multiply; samples do. That the key is the record's is looked at whenever authorities are loaded.
    ///
    /// - Parameters:
    ///   - template: What to say.
    ///   - authority: Who says it.
    ///   - entropy: Picks the samples.
    /// - Returns: The token.
    /// - Throws: `signingFailed` or `lintFailed`.
    package static func sign(
        _ template: JWTTemplate, under authority: JWTAuthority, using entropy: inout some RandomNumberGenerator
    ) throws(IssuanceError) -> IssuedJWTSVID {
        let issuedAt = Int64(template.issuedAt.timeIntervalSince1970.rounded(.down))
        var claims = JSONObject([
            ("sub", .string("\(template.id)")),
            ("aud", .array(template.audience.map { .string($0) })),
            ("exp", .integer(template.lifetime.validity.upperBound.unixSeconds)),
            ("iat", .integer(issuedAt)),
            ("jti", .string(template.tokenID)),
        ])
        claims["iss"] = template.issuer.map { .string($0) }
        var token = authority.encodedHeader
        token.reserveCapacity(1024)
        Base64URL.append(JSONValue.object(claims).compactBytes, to: &token)
        do {
            let signature = try authority.key.jwsSignature(for: Data(token))
            token.append(UInt8(ascii: "."))
            Base64URL.append(signature, to: &token)
        } catch { throw .signingFailed(detail: "\(error)") }
        let text = String(decoding: token, as: UTF8.self)
        if mayBeWrong(authority.key) || entropy.next() % sampling == 0 {
            try validate(text, against: template, authority: authority)
        }
        return IssuedJWTSVID(
            id: template.id, token: SecretText(text), tokenID: template.tokenID,
            issuedAt: Date(timeIntervalSince1970: TimeInterval(issuedAt)),
            lifetime: template.lifetime)
    }

    private static func mayBeWrong(_ key: any SigningKey) -> Bool {
        key.signsElsewhere || key.type.jwtAlgorithm == .rs256
    }

    private static func validate(
        _ token: String, against template: JWTTemplate, authority: JWTAuthority
    ) throws(IssuanceError) {
        do {
            let bundle = JWTBundle(
                trustDomain: template.id.trustDomain, authorities: [authority.keyID: authority.verificationKey])
            // One audience tells whether the signature is sound; all of them are compared as a list.
            let verified = try JWTSVID.verify(
                token, audience: template.audience.first ?? "", at: template.issuedAt, leeway: 0,
                bundle: { _ in bundle })
            guard verified.id == template.id, verified.audience == template.audience else {
                throw SPIFFEError(.invalidJWTSVID, "signed token differs from what was prepared")
            }
        } catch { throw .lintFailed(detail: "\(error)") }
    }
}
