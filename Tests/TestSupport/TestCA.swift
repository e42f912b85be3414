package import Crypto
package import Foundation
package import SPIFFE
package import X509

/// An authority that signs whatever a test asks for, also what no issuer may sign.
package struct TestCA: Sendable {
    /// A certificate with the key it is for.
    package struct Leaf: Sendable {
        package let certificate: Certificate
        package let key: P256.Signing.PrivateKey

        /// The key as the Workload API carries it.
        package var pkcs8: Data { key.derRepresentation }
    }

    package let trustDomain: TrustDomain
    package let certificate: Certificate
    package let key: P256.Signing.PrivateKey

    /// The bundle that trusts this authority alone.
    package var bundle: X509Bundle { X509Bundle(trustDomain: trustDomain, authorities: [certificate]) }

    /// Makes a self-signed authority; the common name tells those of one test apart, the change spoils it.
    package init(
        _ trustDomain: String = "example.org", commonName: String = "root",
        _ change: (inout CertificateRecipe) -> Void = { _ in }
    ) throws {
        self.trustDomain = try TrustDomain(trustDomain)
        var recipe = CertificateRecipe.authority("\(commonName) of \(trustDomain)", trustDomain: trustDomain)
        change(&recipe)
        key = P256.Signing.PrivateKey()
        certificate = try Self.sign(
            recipe, for: Certificate.PublicKey(key.publicKey), issuer: recipe.subject(), issuerKey: key)
    }

    private init(trustDomain: TrustDomain, certificate: Certificate, key: P256.Signing.PrivateKey) {
        (self.trustDomain, self.certificate, self.key) = (trustDomain, certificate, key)
    }

    /// Makes an authority below this one; the change spoils it.
    package func intermediate(
        _ commonName: String = "intermediate", _ change: (inout CertificateRecipe) -> Void = { _ in }
    ) throws -> TestCA {
        var recipe = CertificateRecipe.authority("\(commonName) of \(trustDomain)", trustDomain: trustDomain.name)
        change(&recipe)
        let key = P256.Signing.PrivateKey()
        let certificate = try Self.sign(
            recipe, for: Certificate.PublicKey(key.publicKey), issuer: self.certificate.subject, issuerKey: self.key)
        return TestCA(trustDomain: trustDomain, certificate: certificate, key: key)
    }

    /// Makes a leaf with a P-256 key of its own: for the workload `/w`, unless another is named.
    package func leaf(
        _ id: String? = nil, _ change: (inout CertificateRecipe) -> Void = { _ in }
    ) throws -> Leaf {
        let key = P256.Signing.PrivateKey()
        return Leaf(
            certificate: try leaf(id, for: Certificate.PublicKey(key.publicKey), change), key: key)
    }

    /// Makes a leaf for a key of any kind.
    package func leaf(
        _ id: String? = nil, for publicKey: Certificate.PublicKey,
        _ change: (inout CertificateRecipe) -> Void = { _ in }
    ) throws -> Certificate {
        var recipe = CertificateRecipe.leaf(id ?? "spiffe://\(trustDomain)/w")
        change(&recipe)
        return try Self.sign(recipe, for: publicKey, issuer: certificate.subject, issuerKey: key)
    }

    private static func sign(
        _ recipe: CertificateRecipe, for publicKey: Certificate.PublicKey, issuer: DistinguishedName,
        issuerKey: P256.Signing.PrivateKey
    ) throws -> Certificate {
        try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
            notValidBefore: recipe.validity.lowerBound, notValidAfter: recipe.validity.upperBound, issuer: issuer,
            subject: recipe.subject(),
            extensions: recipe.extensions(for: publicKey, issuerKey: Certificate.PublicKey(issuerKey.publicKey)),
            issuerPrivateKey: Certificate.PrivateKey(issuerKey))
    }
}
