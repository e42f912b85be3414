internal import Crypto
internal import Foundation
internal import Platform
internal import SPIFFE
internal import SwiftASN1
internal import X509

/// Asks an upstream for a CA certificate, and judges what it sends.
enum UpstreamChain {
    /// Makes the request for a key.
    ///
    /// - Returns: PKCS#10, DER.
    static func request(for trustDomain: TrustDomain, key: any SigningKey) throws(AuthorityError) -> [UInt8] {
        do {
            let names = SubjectAlternativeNames([.uniformResourceIdentifier("\(trustDomain.id)")])
            let request = try CertificateSigningRequest(
                version: .v1,
                subject: try DistinguishedName {
                    OrganizationName("Mintmark")
                    CommonName(String(trustDomain.name.prefix(64)))
                },
                privateKey: key.certificateKey,
                attributes: try CertificateSigningRequest.Attributes([
                    .init(ExtensionRequest(extensions: try Certificate.Extensions { names }))
                ]))
            var serializer = DER.Serializer()
            try serializer.serialize(request)
            return serializer.serializedBytes
        } catch { throw .refused(detail: "\(error)") }
    }

    /// Judges a chain as those will who see what is signed under it: with a leaf that nobody gets.
    ///
    /// That covers signatures, path lengths, name constraints and validity in one, by the rules that verifiers have.
    ///
    /// - Returns: A record of the authority, which ends when the first certificate on the way to the root does.
    static func record(
        of intermediate: UpstreamIntermediate, key: any SigningKey, keyName: String, server: ServerID,
        state: AuthorityRecord.State, trustDomain: TrustDomain, now: Date, using entropy: inout some Entropy
    ) throws(AuthorityError) -> AuthorityRecord {
        let tainted = Set(intermediate.roots.filter(\.isTainted).map(\.certificate))
        do {
            let chain = try intermediate.chain.prefix(X509SVIDVerification.maximumChainLength)
                .map { try DERConcatenation.certificate(in: $0[...]) }
            let roots = try intermediate.roots.map { try DERConcatenation.certificate(in: $0.certificate[...]) }
            guard let own = chain.first, own.publicKey == key.certificateKey.publicKey else {
                throw SPIFFEError(.invalidX509SVID, "the first certificate is not for the key that was asked for")
            }
            let probe = try probe(under: own, key: key, trustDomain: trustDomain, now: now, using: &entropy)
            let path = try X509SVIDVerification.verify([probe] + chain, at: now) {
                $0 == trustDomain ? X509Bundle(trustDomain: trustDomain, authorities: roots) : nil
            }.chain
            let (above, root) = (path.dropFirst(), path[path.count - 1])
            guard above.first == own, root != own else {
                throw SPIFFEError(.untrusted, "the chain does not lead to a root above it")
            }
            guard try !tainted.contains(root.derBytes()) else {
                throw SPIFFEError(.untrusted, "it is signed under a tainted root")
            }
            return AuthorityRecord(
                id: Hex.encode(X509Authority.keyIdentifier(of: own)), kind: .x509, state: state,
                origin: .server(server, keyName: keyName),
                notBefore: above.map(\.notValidBefore).max() ?? own.notValidBefore,
                notAfter: above.map(\.notValidAfter).min() ?? own.notValidAfter, publicDER: try own.derBytes(),
                chain: try above.dropFirst().dropLast().map { try $0.derBytes() },
                upstreamKeyID: Hex.encode(X509Authority.keyIdentifier(of: root)))
        } catch { throw .upstream(.badAnswer(detail: "\(error)")) }
    }

    private static func probe(
        under authority: Certificate, key: any SigningKey, trustDomain: TrustDomain, now: Date,
        using entropy: inout some Entropy
    ) throws -> Certificate {
        let publicKey = Certificate.PublicKey(P256.Signing.PrivateKey().publicKey)
        let start = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        return try Certificate(
            version: .v3, serialNumber: SerialNumber.positive(entropy.bytes(16)), publicKey: publicKey,
            notValidBefore: start, notValidAfter: start + 1, issuer: authority.subject,
            subject: try DistinguishedName { OrganizationName("Mintmark probe") },
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                AuthorityKeyIdentifier(keyIdentifier: X509Authority.keyIdentifier(of: authority))
                SubjectAlternativeNames([.uniformResourceIdentifier("\(trustDomain.id)/spire/probe")])
            },
            issuerPrivateKey: key.certificateKey)
    }
}
