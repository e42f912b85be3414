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
    /// Signs a template and verifies the token as a stranger would before it leaves.
    ///
    /// - Throws: `signingFailed` or `lintFailed`.
    package static func sign(
        _ template: JWTTemplate, under authority: JWTAuthority
    ) throws(IssuanceError) -> IssuedJWTSVID {
        let algorithm = authority.key.type.jwtAlgorithm
        let header: JSONValue = .members([
            "alg": .string(algorithm.rawValue), "kid": .string(authority.keyID), "typ": .string("JWT"),
        ])
        let issuedAt = Int64(template.issuedAt.timeIntervalSince1970.rounded(.down))
        var claims = JSONObject([
            ("sub", .string("\(template.id)")),
            ("aud", .array(template.audience.map { .string($0) })),
            ("exp", .integer(template.lifetime.validity.upperBound.unixSeconds)),
            ("iat", .integer(issuedAt)),
            ("jti", .string(template.tokenID)),
        ])
        claims["iss"] = template.issuer.map { .string($0) }
        let input =
            Base64URL.encode(Array(header.compactText.utf8)) + "."
            + Base64URL.encode(Array(JSONValue.object(claims).compactText.utf8))
        let token: String
        do {
            token = input + "." + Base64URL.encode(try authority.key.jwsSignature(for: Data(input.utf8)))
        } catch { throw .signingFailed(detail: "\(error)") }
        try validate(token, against: template, authority: authority)
        return IssuedJWTSVID(
            id: template.id, token: SecretText(token), tokenID: template.tokenID,
            issuedAt: Date(timeIntervalSince1970: TimeInterval(issuedAt)),
            lifetime: template.lifetime)
    }

    private static func validate(
        _ token: String, against template: JWTTemplate, authority: JWTAuthority
    ) throws(IssuanceError) {
        do {
            let bundle = JWTBundle(
                trustDomain: template.id.trustDomain,
                authorities: [authority.keyID: try JWTVerificationKey(derRepresentation: authority.record.publicDER)])
            for audience in template.audience {
                let verified = try JWTSVID.verify(
                    token, audience: audience, at: template.issuedAt, leeway: 0, bundle: { _ in bundle })
                guard verified.id == template.id, verified.audience == template.audience else {
                    throw SPIFFEError(.invalidJWTSVID, "signed token differs from what was prepared")
                }
                // One signature check is enough; the audiences were compared as a list.
                break
            }
        } catch { throw .lintFailed(detail: "\(error)") }
    }
}
