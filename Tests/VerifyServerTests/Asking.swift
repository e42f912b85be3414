import Crypto
import Foundation
import HTTPTypes
import SPIFFE
import TestSupport
import VerifyServer
import WorkloadIdentity
import X509

/// A trust domain that signs tokens and certificates, and a judge that trusts it.
struct Asking: Sendable {
    static let now = CertificateRecipe.now
    static let caller = "spiffe://example.org/w"

    let authority: TestCA
    let key = P256.Signing.PrivateKey()

    init(_ trustDomain: String = "example.org") throws { authority = try TestCA(trustDomain) }

    /// What a judge of this trust domain holds.
    var bundles: HeldBundles {
        get throws {
            let domain = authority.trustDomain
            let verificationKey = try JWTVerificationKey(derRepresentation: key.publicKey.derRepresentation)
            return HeldBundles(
                jwt: [domain: JWTBundle(trustDomain: domain, authorities: ["k1": verificationKey])],
                x509: [domain: authority.bundle])
        }
    }

    /// A token, sound unless its header or claims are changed.
    func token(
        sub: String = Self.caller, aud: JSONValue = .string("a"),
        exp: JSONValue = .integer(Int(now.timeIntervalSince1970) + 300),
        header: [(String, JSONValue)] = [("alg", .string("ES256")), ("kid", .string("k1"))],
        claims: [(String, JSONValue)] = [], signedBy other: P256.Signing.PrivateKey? = nil
    ) throws -> String {
        let claims = JSONValue.object(JSONObject([("sub", .string(sub)), ("aud", aud), ("exp", exp)] + claims))
        return try sign(
            header: JSONValue.object(JSONObject(header)).compactText, claims: claims.compactText, by: other ?? key)
    }

    /// A token of any texts.
    func sign(header: String, claims: String, by key: P256.Signing.PrivateKey? = nil) throws -> String {
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(claims.utf8))
        let signature = try (key ?? self.key).signature(for: SHA256.hash(data: Data(input.utf8)))
        return input + "." + Base64URL.encode(signature.rawRepresentation)
    }

    /// A judge of the service `a`, which lets everyone go on unless told otherwise.
    static func judge(
        audiences: [String] = ["a"], authorizer: PeerAuthorizer = .any, header: ForwardedCertificateHeader? = nil
    ) throws -> RequestJudge {
        RequestJudge(audience: try JWTAudience(anyOf: audiences), authorizer: authorizer, certificateHeader: header)
    }
}

extension HTTPFields {
    /// Headers as a client writes them.
    static func of(_ fields: [(String, String)]) -> HTTPFields {
        var result = HTTPFields()
        for (name, value) in fields {
            guard let name = HTTPField.Name(name) else { continue }
            result.append(HTTPField(name: name, value: value))
        }
        return result
    }

    /// Headers with a bearer token.
    static func bearer(_ token: String) -> HTTPFields { [.authorization: "Bearer \(token)"] }
}

extension RequestVerdict {
    /// The caller's ID; nil when refused.
    var caller: String? {
        if case .allowed(let caller) = self { "\(caller.id)" } else { nil }
    }

    /// The code of the refusal; nil when allowed.
    var code: PeerRefusal.Code? {
        if case .refused(let refusal) = self { refusal.code } else { nil }
    }
}

extension Certificate {
    /// Percent-encoded PEM, as nginx and Envoy write it.
    func escaped() throws -> String {
        try Self.escape(Data(derBytes()).pem)
    }

    /// Encodes all but unreserved characters (RFC 3986 §2.3).
    static func escape(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: unreserved) ?? ""
    }

    private static let unreserved = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
}

extension Data {
    /// One CERTIFICATE block.
    var pem: String {
        let body = base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return "-----BEGIN CERTIFICATE-----\n\(body)\n-----END CERTIFICATE-----\n"
    }
}
