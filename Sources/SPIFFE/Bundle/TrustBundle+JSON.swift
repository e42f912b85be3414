internal import Crypto
internal import Foundation
internal import SwiftASN1
internal import X509

extension TrustBundle {
    /// The longest bundle document read, in bytes.
    public static let maximumDocumentLength = 4 << 20

    /// Reads a SPIFFE bundle document; keys of unknown type or use are skipped, never guessed (BUNDLE-13..18).
    ///
    /// When one key ID stands for two different JWT keys, neither is taken.
    ///
    /// - Parameters:
    ///   - json: The document, a JWK Set with `spiffe_` members, UTF-8.
    ///   - trustDomain: Whose bundle it is; the document never says.
    /// - Throws: ``SPIFFEError`` with code `invalidJSON` or `invalidBundle`.
    public init(json: some Collection<UInt8>, trustDomain: TrustDomain) throws(SPIFFEError) {
        try self.init(
            document: JSONValue(parsing: json, limit: Self.maximumDocumentLength), trustDomain: trustDomain)
    }

    init(document: JSONValue, trustDomain: TrustDomain) throws(SPIFFEError) {
        guard let document = document.object else { throw SPIFFEError(.invalidBundle, "bundle is not a JSON object") }
        guard let keys = document["keys"]?.array else {
            throw SPIFFEError(.invalidBundle, "bundle has no list of keys")
        }
        let jwks = keys.compactMap(\.object)
        self.init(
            trustDomain: trustDomain,
            x509Authorities: jwks.filter { $0["use"]?.string == "x509-svid" }.compactMap(Self.certificate(in:)),
            jwtAuthorities: JWTBundle.authorities(in: jwks.filter { $0["use"]?.string == "jwt-svid" }),
            sequence: try Self.counter(document["spiffe_sequence"], named: "spiffe_sequence"),
            refreshHint: try Self.counter(document["spiffe_refresh_hint"], named: "spiffe_refresh_hint"))
    }

    /// Writes the document that federation peers and bootstrapping agents read, and nothing beyond it (BUNDLE-01..10).
    ///
    /// - Returns: The document.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle` when an authority's key cannot be written as a JWK.
    public func json() throws(SPIFFEError) -> String { try spiffeDocument().compactText }

    /// What ``json()`` writes.
    package func spiffeDocument() throws(SPIFFEError) -> JSONValue { try spiffeDocument(withRefreshHint: true) }

    func spiffeDocument(withRefreshHint: Bool) throws(SPIFFEError) -> JSONValue {
        var keys: [JSONValue] = []
        for certificate in x509.authorities { keys.append(try Self.jwk(of: certificate)) }
        keys += jwt.jwks(withUse: true)
        var document = JSONObject([("keys", .array(keys))])
        document["spiffe_sequence"] = sequence.map { .integer($0) }
        if withRefreshHint { document["spiffe_refresh_hint"] = refreshHint.map { .integer($0) } }
        return .object(document)
    }

    /// The JWT authorities alone, as a plain JWK Set (WLAPI-24, C-11).
    package var jwkSet: JSONValue { jwt.jwkSet }

    private static func jwk(of certificate: Certificate) throws(SPIFFEError) -> JSONValue {
        do {
            let key = try JWTVerificationKey(derRepresentation: spki(of: certificate))
            return .object(
                JSONObject(
                    key.jwkMembers + [
                        ("use", .string("x509-svid")),
                        ("x5c", .array([.string(Data(try certificate.derBytes()).base64EncodedString())])),
                    ]))
        } catch {
            throw SPIFFEError(.invalidBundle, "an X.509 authority's key cannot be written as a JWK")
        }
    }

    /// The first certificate of `x5c`, if the JWK's own key is the same (X509-35, X509-36, B09).
    private static func certificate(in jwk: JSONObject) -> Certificate? {
        guard let text = jwk["x5c"]?.array?.first?.string, let der = Data(base64Encoded: text),
            let certificate = try? Certificate(derEncoded: Array(der)),
            let stated = try? JWTVerificationKey(jwk: jwk),
            let actual = try? JWTVerificationKey(derRepresentation: spki(of: certificate)),
            stated == actual
        else { return nil }
        return certificate
    }

    private static func spki(of certificate: Certificate) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(certificate.publicKey)
        return serializer.serializedBytes
    }

    private static func counter(_ value: JSONValue?, named name: String) throws(SPIFFEError) -> UInt64? {
        guard let value else { return nil }
        guard let number = value.unsignedInteger else {
            throw SPIFFEError(.invalidBundle, "bundle member \(name) is not a non-negative integer")
        }
        return number
    }
}
