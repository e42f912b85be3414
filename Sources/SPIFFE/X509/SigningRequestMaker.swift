package import Crypto
internal import SwiftASN1
package import X509

/// Makes signing requests that convey a key and nothing else.
package enum SigningRequestMaker {
    /// Makes a PKCS#10 request with a key of any kind.
    ///
    /// - Parameter key: The key; it signs the request to prove possession.
    /// - Returns: DER.
    /// - Throws: When the request cannot be signed or serialized.
    package static func request(signedBy key: Certificate.PrivateKey) throws -> [UInt8] {
        try serialized(
            CertificateSigningRequest(
                version: .v1, subject: try DistinguishedName { OrganizationName("Mintmark SVID") }, privateKey: key,
                attributes: CertificateSigningRequest.Attributes([])))
    }

    /// Makes a PKCS#10 request.
    ///
    /// - Parameters:
    ///   - key: The key; it signs the request to prove possession.
    ///   - id: A SPIFFE ID to ask for; only ad-hoc issuance goes by it.
    /// - Returns: DER.
    /// - Throws: When the request cannot be signed or serialized.
    package static func request(signedBy key: P256.Signing.PrivateKey, for id: SPIFFEID? = nil) throws -> [UInt8] {
        let privateKey = Certificate.PrivateKey(key)
        var attributes: [CertificateSigningRequest.Attribute] = []
        if let id {
            let extensions = try Certificate.Extensions {
                SubjectAlternativeNames([.uniformResourceIdentifier("\(id)")])
            }
            attributes.append(try .init(ExtensionRequest(extensions: extensions)))
        }
        let request = try CertificateSigningRequest(
            version: .v1, subject: try DistinguishedName { OrganizationName("Mintmark SVID") },
            privateKey: privateKey, attributes: CertificateSigningRequest.Attributes(attributes),
            signatureAlgorithm: .ecdsaWithSHA256)
        return try serialized(request)
    }

    private static func serialized(_ request: CertificateSigningRequest) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(request)
        return serializer.serializedBytes
    }
}
