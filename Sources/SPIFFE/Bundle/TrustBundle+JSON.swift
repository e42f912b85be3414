internal import Crypto
internal import Foundation
internal import SwiftASN1
internal import X509

extension TrustBundle {
    /// Reads a SPIFFE bundle document; keys of unknown type or use are skipped, never guessed (BUNDLE-13..18).
    ///
    /// - Parameters:
    ///   - json: The document, a JWK Set with `spiffe_` members.
    ///   - trustDomain: Whose bundle it is; the document never says.
    /// - Throws: ``SPIFFEError`` with code `invalidJSON` or `invalidBundle`.
    package init(json: some Collection<UInt8>, trustDomain: TrustDomain) throws(SPIFFEError) {
        guard let document = try JSONValue(parsing: json, limit: 4 << 20).object else {
            throw SPIFFEError(.invalidBundle, "bundle is not a JSON object")
        }
        guard let keys = document["keys"]?.array else {
            throw SPIFFEError(.invalidBundle, "bundle has no list of keys")
        }
        var certificates: [Certificate] = []
        var authorities: [String: JWTVerificationKey] = [:]
        for jwk in keys.compactMap(\.object) {
            switch jwk["use"]?.string {
            case "x509-svid":
                if let certificate = Self.certificate(in: jwk) { certificates.append(certificate) }
            case "jwt-svid":
                if let keyID = jwk["kid"]?.string, !keyID.isEmpty, let key = try? JWTVerificationKey(jwk: jwk) {
                    authorities[keyID] = key
                }
            default: continue
            }
        }
        self.init(
            trustDomain: trustDomain, x509Authorities: certificates, jwtAuthorities: authorities,
            sequence: try Self.counter(document["spiffe_sequence"], named: "spiffe_sequence"),
            refreshHint: try Self.counter(document["spiffe_refresh_hint"], named: "spiffe_refresh_hint"))
    }

    /// The document that federation peers and bootstrapping agents read (BUNDLE-01..10).
    package func spiffeDocument() throws -> JSONValue {
        var keys: [JSONValue] = []
        for certificate in x509.authorities { keys.append(try Self.jwk(of: certificate)) }
        keys += jwtKeys(withUse: true)
        var document = JSONObject([("keys", .array(keys))])
        document["spiffe_sequence"] = sequence.map { .integer($0) }
        document["spiffe_refresh_hint"] = refreshHint.map { .integer($0) }
        return .object(document)
    }

    /// The JWT authorities alone, as a plain JWK Set (WLAPI-24, C-11).
    package var jwkSet: JSONValue { .members(["keys": .array(jwtKeys(withUse: false))]) }

    private func jwtKeys(withUse: Bool) -> [JSONValue] {
        jwt.authorities.sorted { $0.key < $1.key }.map { keyID, key in
            let identity: [(String, JSONValue)] =
                withUse
                ? [("use", .string("jwt-svid")), ("kid", .string(keyID))] : [("kid", .string(keyID))]
            return .object(JSONObject(key.jwkMembers + identity))
        }
    }

    private static func jwk(of certificate: Certificate) throws -> JSONValue {
        let key = try JWTVerificationKey(derRepresentation: spki(of: certificate))
        return .object(
            JSONObject(
                key.jwkMembers + [
                    ("use", .string("x509-svid")),
                    ("x5c", .array([.string(Data(try certificate.derBytes()).base64EncodedString())])),
                ]))
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
