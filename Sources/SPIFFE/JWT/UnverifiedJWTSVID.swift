/// A token that parses as a JWT-SVID.
///
/// What it says is not yet worth anything.
package struct UnverifiedJWTSVID: Sendable {
    /// The longest token read, in bytes.
    package static let maximumLength = 16 << 10

    /// The first second of the year 10000; no instant in a token may lie there.
    private static let endOfTime = 253_402_300_800.0

    package let algorithm: JWTAlgorithm
    package let keyID: String
    package let subject: SPIFFEID
    package let audience: [String]
    /// Seconds since 1970; may have a fraction (J16).
    package let expiry: Double
    package let notBefore: Double?
    package let issuedAt: Double?
    package let claims: JSONObject
    let signingInput: ArraySlice<UInt8>
    let signature: [UInt8]

    /// Parses the compact serialization and judges everything that needs no key and no clock.
    ///
    /// A subject without a path is read like any other: the documents do not forbid it (C-13).
    ///
    /// - Parameter token: Three base64url parts.
    /// - Throws: ``SPIFFEError`` with code `invalidJWTSVID` (JWT-01, JWT-13, JWT-14, JWT-16, JWT-19, JWT-20) or
    ///   `invalidID`.
    package init(parsing token: String) throws(SPIFFEError) {
        guard token.utf8.count <= Self.maximumLength else { throw Self.refusal("token is too long") }
        let bytes = Array(token.utf8)
        let parts = bytes.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw Self.refusal("token is not a compact JWS of three parts") }
        guard let header = Base64URL.decode(parts[0]), let payload = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2])
        else { throw Self.refusal("token parts are not base64url without padding") }

        let head = try Self.object(header, named: "header")
        guard let name = head["alg"]?.string, let algorithm = JWTAlgorithm(rawValue: name) else {
            throw Self.refusal("token algorithm is not one that a JWT-SVID may use")
        }
        guard head["crit"] == nil else { throw Self.refusal("token header names critical extensions") }
        if let type = head["typ"] {
            guard type == .string("JWT") || type == .string("JOSE") else {
                throw Self.refusal("token type is neither JWT nor JOSE")
            }
        }
        guard let keyID = head["kid"]?.string, !keyID.isEmpty else { throw Self.refusal("token has no key ID") }

        let claims = try Self.object(payload, named: "claims")
        guard let subject = claims["sub"]?.string else { throw Self.refusal("token has no subject") }
        guard let expiry = claims["exp"]?.double, expiry < Self.endOfTime else {
            throw Self.refusal("token has no expiry")
        }
        self.subject = try SPIFFEID(subject)
        self.audience = try Self.audience(claims["aud"])
        self.notBefore = try Self.instant(claims["nbf"], named: "nbf")
        self.issuedAt = try Self.instant(claims["iat"], named: "iat")
        self.algorithm = algorithm
        self.keyID = keyID
        self.expiry = expiry
        self.claims = claims
        self.signature = signature
        self.signingInput = bytes[..<parts[1].endIndex]
    }

    private static func audience(_ value: JSONValue?) throws(SPIFFEError) -> [String] {
        switch value {
        case .string(let single)? where !single.isEmpty: return [single]
        case .array(let elements)?:
            var audience: [String] = []
            audience.reserveCapacity(elements.count)
            for element in elements {
                guard let text = element.string else { throw refusal("token audience is not text") }
                audience.append(text)
            }
            guard !audience.isEmpty else { throw refusal("token has no audience") }
            return audience
        default: throw refusal("token has no audience")
        }
    }

    private static func instant(_ value: JSONValue?, named name: String) throws(SPIFFEError) -> Double? {
        guard let value else { return nil }
        guard let seconds = value.double, abs(seconds) < endOfTime else {
            throw refusal("token claim \(name) is not an instant")
        }
        return seconds
    }

    private static func object(_ bytes: [UInt8], named name: String) throws(SPIFFEError) -> JSONObject {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw refusal("token \(name): \(error.message)")
        }
        guard let object = value.object else { throw refusal("token \(name) is not an object") }
        return object
    }

    private static func refusal(_ message: String) -> SPIFFEError { SPIFFEError(.invalidJWTSVID, message) }
}
