package import Foundation
package import SPIFFE

/// A token of an OpenID provider, verified (OpenID Connect Core §3.1.3.7, RFC 8725).
package struct IdentityToken: Hashable, Sendable {
    /// Why a token is not believed.
    package struct Refusal: Error, Hashable {
        package let message: String
        /// Whether the issuer's keys may have changed since they were read.
        package let mayHaveNewKeys: Bool

        package init(_ message: String, mayHaveNewKeys: Bool = false) {
            (self.message, self.mayHaveNewKeys) = (message, mayHaveNewKeys)
        }
    }

    private static let maximumLength = 16 << 10
    private static let maximumClaims = 64
    private static let leeway: TimeInterval = 60
    private static let endOfTime = 253_402_300_800.0

    /// The `sub` claim.
    package let subject: String
    /// Every claim that is a text, or a list of texts.
    package let claims: [String: [String]]

    /// The issuer that a token says it is from; nothing of it is verified.
    package static func claimedIssuer(of token: String) -> String? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard token.utf8.count <= maximumLength, parts.count == 3 else { return nil }
        return (try? object(parts[1].utf8))?["iss"]?.string
    }

    /// Verifies a token.
    ///
    /// - Parameters:
    ///   - token: The compact serialization.
    ///   - issuer: Whose it must be.
    ///   - keys: The issuer's, by their key ID.
    ///   - now: The time; clocks may disagree by a minute.
    /// - Throws: ``Refusal``.
    package init(
        verifying token: String, from issuer: TokenIssuer, keys: [String: JWTVerificationKey], now: Date
    ) throws(Refusal) {
        guard token.utf8.count <= Self.maximumLength else { throw Refusal("token is too long") }
        let parts = token.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, let signature = Base64URL.decode(parts[2].utf8) else {
            throw Refusal("token is not a compact JWS of three parts")
        }
        let header = try Self.object(parts[0].utf8)
        guard let name = header["alg"]?.string, let algorithm = JWTAlgorithm(rawValue: name),
            issuer.algorithms.contains(algorithm)
        else { throw Refusal("token algorithm is not one that this issuer may use") }
        guard header["crit"] == nil else { throw Refusal("token header names critical extensions") }
        guard let keyID = header["kid"]?.string else { throw Refusal("token has no key ID") }
        guard let key = keys.first(where: { $0.key.utf8.elementsEqual(keyID.utf8) })?.value else {
            throw Refusal("no key of the issuer has the token's key ID", mayHaveNewKeys: true)
        }
        let input = Array((parts[0] + "." + parts[1]).utf8)
        guard key.supports(algorithm), key.isValidSignature(signature, for: input, algorithm: algorithm) else {
            throw Refusal("token signature is not valid")
        }
        let claims = try Self.object(parts[1].utf8)
        guard claims["iss"]?.string.map({ $0.utf8.elementsEqual(issuer.issuer.utf8) }) == true else {
            throw Refusal("token is from another issuer")
        }
        try Self.checkTimes(claims, now.timeIntervalSince1970)
        guard let audience = claims["aud"].flatMap(Self.texts), issuer.audience.names.contains(where: audience.contains)
        else { throw Refusal("token is meant for another audience") }
        guard let subject = claims["sub"]?.string, !subject.isEmpty, subject.utf8.count <= 255 else {
            throw Refusal("token has no subject")
        }
        self.subject = subject
        var texts: [String: [String]] = [:]
        for (name, value) in claims.prefix(Self.maximumClaims) { texts[name] = Self.texts(value) }
        self.claims = texts
    }

    private static func checkTimes(_ claims: JSONObject, _ now: Double) throws(Refusal) {
        guard let expiry = claims["exp"]?.double, expiry < endOfTime else { throw Refusal("token has no expiry") }
        guard now < expiry + leeway else { throw Refusal("token has expired") }
        guard let stated = claims["nbf"] else { return }
        guard let start = stated.double, now > start - leeway else { throw Refusal("token is not valid yet") }
    }

    private static func texts(_ value: JSONValue) -> [String]? {
        if let text = value.string { return [text] }
        guard let elements = value.array else { return nil }
        let texts = elements.compactMap(\.string)
        return texts.count == elements.count ? texts : nil
    }

    private static func object(_ part: Substring.UTF8View) throws(Refusal) -> JSONObject {
        guard let bytes = Base64URL.decode(part), let object = try? JSONValue(parsing: bytes).object else {
            throw Refusal("token parts are not JSON objects in base64url")
        }
        return object
    }
}

/// The keys of an OpenID provider (RFC 7517).
package enum TokenKeys {
    private static let maximumKeys = 100

    /// Reads a JWK Set; keys that are not for signatures, or of a kind that no permitted algorithm uses, are left out.
    ///
    /// - Parameter document: UTF-8.
    /// - Returns: The keys by their key ID; one that stands for two keys is left out.
    /// - Throws: ``IdentityToken/Refusal`` when it is no JWK Set.
    package static func parse(_ document: [UInt8]) throws(IdentityToken.Refusal) -> [String: JWTVerificationKey] {
        guard let keys = try? JSONValue(parsing: document).object?["keys"]?.array, keys.count <= maximumKeys else {
            throw IdentityToken.Refusal("the issuer's keys are no JWK Set")
        }
        var found: [String: JWTVerificationKey] = [:]
        var ambiguous: Set<String> = []
        for jwk in keys.compactMap(\.object) {
            guard jwk["use"] == nil || jwk["use"]?.string == "sig", let keyID = jwk["kid"]?.string,
                let key = try? JWTVerificationKey(jwk: jwk)
            else { continue }
            if let known = found.updateValue(key, forKey: keyID), known != key { ambiguous.insert(keyID) }
        }
        return found.filter { !ambiguous.contains($0.key) }
    }
}
