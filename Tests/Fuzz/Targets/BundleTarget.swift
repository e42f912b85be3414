internal import Foundation
internal import SPIFFE

/// Bundles: a SPIFFE bundle document, or PEM where there is a marker of it.
enum BundleTarget {
    private static let trustDomain = TokenTarget.trusted.trustDomain

    static func judge(_ input: [UInt8], flaw: Flaw?) {
        let read = flaw?.text(input) ?? input
        let pem = String(decoding: read, as: UTF8.self)
        if pem.utf8.contains(UInt8(ascii: "-")), let bundle = try? TrustBundle(pem: pem, trustDomain: trustDomain) {
            claim(!bundle.x509.authorities.isEmpty && bundle.jwt.authorities.isEmpty, "PEM holds certificates only")
            judgeCertificates(of: bundle)
        }
        judgeMap(read)
        judgeKeySet(read)
        guard let bundle = try? TrustBundle(json: read, trustDomain: trustDomain) else { return }
        guard let document = try? JSONValue(parsing: input, limit: 4 << 20), let keys = document.object?["keys"]?.array
        else { broken("a bundle document is a JSON object with keys") }
        judgeCertificates(of: bundle)
        judgeAuthorities(of: bundle, in: keys.compactMap(\.object))
        judgeKeys(of: bundle, in: keys.compactMap(\.object))
        claim(bundle.sequence == document.object?["spiffe_sequence"]?.unsignedInteger, "the sequence is the document's")

        guard let written = try? bundle.spiffeDocument().compactText else {
            broken("what was read can be written")
        }
        claim((try? TrustBundle(json: written.utf8, trustDomain: trustDomain)) == bundle, "a bundle reads as written")
        let again = try? TrustBundle(json: read, trustDomain: trustDomain).spiffeDocument().compactText
        claim(written.utf8.elementsEqual((again ?? "").utf8), "the same document is the same bundle")
    }

    private static func judgeCertificates(of bundle: TrustBundle) {
        guard !bundle.x509.authorities.isEmpty else { return }
        guard let pem = try? bundle.pemText(), let again = try? TrustBundle(pem: pem, trustDomain: trustDomain) else {
            broken("certificates can be written as PEM and read again")
        }
        claim(again.x509 == bundle.x509, "certificates read as written")
        let der = (try? bundle.x509.derBytes()) ?? []
        claim((try? X509Bundle(der: der, trustDomain: trustDomain)) == bundle.x509, "DER reads as written")
    }

    /// A bundle map, without the refresh hints of its bundles, which are not written.
    private static func judgeMap(_ read: [UInt8]) {
        guard let map = try? BundleSet(bundleMapJSON: read) else { return }
        guard let written = try? map.bundleMapJSON(), let again = try? BundleSet(bundleMapJSON: written.utf8) else {
            broken("a bundle map reads as written")
        }
        claim((try? again.bundleMapJSON())?.utf8.elementsEqual(written.utf8) == true, "a bundle map is what it writes")
        let stated = (try? JSONValue(parsing: read, limit: read.count))?.object?["trust_domains"]?.object
        claim(map.count == stated?.count, "no trust domain is lost")
        for bundle in map { claim(map[bundle.trustDomain] == bundle, "each bundle is found by its trust domain") }
    }

    private static func judgeKeySet(_ read: [UInt8]) {
        guard let keys = try? JWTBundle(jwkSet: read, trustDomain: trustDomain) else { return }
        claim(
            (try? JWTBundle(jwkSet: keys.jwkSetJSON().utf8, trustDomain: trustDomain)) == keys, "keys read as written")
    }

    /// Every X.509 authority is the first certificate of a key that says so, and that key is the certificate's (B04, B09).
    private static func judgeAuthorities(of bundle: TrustBundle, in keys: [JSONObject]) {
        let written = (try? bundle.spiffeDocument())?.object?["keys"]?.array?.compactMap(\.object) ?? []
        let authorities = written.filter { $0["use"]?.string == "x509-svid" }
        claim(authorities.count == bundle.x509.authorities.count, "every X.509 authority is written")
        for authority in authorities {
            let isListed = keys.contains { jwk in
                jwk["use"]?.string == "x509-svid" && certificate(in: jwk) == certificate(in: authority)
                    && (try? JWTVerificationKey(jwk: jwk)) == (try? JWTVerificationKey(jwk: authority))
            }
            claim(
                certificate(in: authority) != nil && isListed,
                "an X.509 authority is a key of the document, with its use")
        }
    }

    private static func certificate(in jwk: JSONObject) -> Data? {
        jwk["x5c"]?.array?.first?.string.flatMap { Data(base64Encoded: $0) }
    }

    /// Every JWT authority is a key of the document that says so, of a permitted kind (B03..B05, B13).
    private static func judgeKeys(of bundle: TrustBundle, in keys: [JSONObject]) {
        for (keyID, key) in bundle.jwt.authorities {
            let isListed = keys.contains { jwk in
                jwk["use"]?.string == "jwt-svid" && jwk["kid"]?.string?.utf8.elementsEqual(keyID.utf8) == true
                    && (try? JWTVerificationKey(jwk: jwk)) == key
            }
            claim(!keyID.isEmpty && isListed, "a JWT authority is a key of the document, with its use and ID")
            claim(JWTAlgorithm.allCases.contains(where: key.supports), "a JWT authority can verify something")
            claim((try? JWTVerificationKey(derRepresentation: key.derRepresentation)) == key, "a key is its DER")
            let rivals = keys.filter { $0["use"]?.string == "jwt-svid" && $0["kid"]?.string == keyID }
                .compactMap { try? JWTVerificationKey(jwk: $0) }
            claim(rivals.allSatisfy { $0 == key }, "a key ID does not stand for two keys")
            let members = JSONObject(key.jwkMembers)
            claim((try? JWTVerificationKey(jwk: members)) == key, "a key is its JWK")
            // 2048 bits in base64url.
            claim(!key.supports(.rs256) || members["n"]?.string?.utf8.count ?? 0 >= 342, "an RSA key is not short")
        }
        let listed = bundle.jwkSet.object?["keys"]?.array?.count
        claim(listed == bundle.jwt.authorities.count, "the JWK set has every JWT authority")
    }
}
