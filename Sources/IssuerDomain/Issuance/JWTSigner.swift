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
    /// Signs a template and reads the token as a stranger would before it leaves.
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
            Base64URL.encode(header.compactText.utf8) + "."
            + Base64URL.encode(JSONValue.object(claims).compactText.utf8)
        let (signed, signature): (Data, Data)
        do {
            signed = Data(input.utf8)
            signature = try authority.key.jwsSignature(for: signed)
        } catch { throw .signingFailed(detail: "\(error)") }
        let token = input + "." + Base64URL.encode(signature)
        try validate(token, against: template, authority: authority)
        try validate(signature, for: signed, by: authority)
        return IssuedJWTSVID(
            id: template.id, token: SecretText(token), issuedAt: Date(timeIntervalSince1970: TimeInterval(issuedAt)),
            lifetime: template.lifetime)
    }

    private static func validate(
        _ token: String, against template: JWTTemplate, authority: JWTAuthority
    ) throws(IssuanceError) {
        let read: UnverifiedJWTSVID
        do { read = try UnverifiedJWTSVID(parsing: token) } catch { throw .lintFailed(detail: "\(error)") }
        guard read.subject == template.id, read.audience == template.audience, read.keyID == authority.keyID,
            read.algorithm == authority.key.type.jwtAlgorithm,
            read.expiry == template.lifetime.validity.upperBound.timeIntervalSince1970,
            let issuedAt = read.issuedAt, issuedAt <= template.issuedAt.timeIntervalSince1970, issuedAt < read.expiry
        else { throw .lintFailed(detail: "signed token differs from what was prepared") }
    }

    /// Checks a signature where it may be wrong, or where checking is cheap beside signing.
    ///
    /// A device may answer anything, and one wrong RSA signature gives its key away. An ECDSA signature made in this process
    /// takes more than twice as long to check as to make, and only tells whether the library can multiply; a certificate,
    /// of which there are fewer, is checked even so.
    private static func validate(
        _ signature: Data, for signed: Data, by authority: JWTAuthority
    ) throws(IssuanceError) {
        let algorithm = authority.key.type.jwtAlgorithm
        guard authority.key.signsElsewhere || algorithm == .rs256 else { return }
        guard authority.verificationKey.isValidSignature(signature, for: signed, algorithm: algorithm) else {
            throw .lintFailed(detail: "signature of the token is not the authority's")
        }
    }
}
