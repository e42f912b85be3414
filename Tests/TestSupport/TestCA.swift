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
        _ change: (inout CertificateRecipe) throws -> Void = { _ in }
    ) throws {
        self.trustDomain = try TrustDomain(trustDomain)
        var recipe = CertificateRecipe.authority("\(commonName) of \(trustDomain)", trustDomain: trustDomain)
        try change(&recipe)
        key = P256.Signing.PrivateKey()
        certificate = try Self.sign(
            recipe, for: Certificate.PublicKey(key.publicKey), issuer: recipe.subject(),
            issuerKey: Certificate.PrivateKey(key))
    }

    /// Puts a certificate together with a key, which need not be the one that the certificate is for.
    package init(trustDomain: TrustDomain, certificate: Certificate, key: P256.Signing.PrivateKey) {
        (self.trustDomain, self.certificate, self.key) = (trustDomain, certificate, key)
    }

    /// Makes an authority below this one; the change spoils it.
    package func intermediate(
        _ commonName: String = "intermediate", _ change: (inout CertificateRecipe) throws -> Void = { _ in }
    ) throws -> TestCA {
        var recipe = CertificateRecipe.authority("\(commonName) of \(trustDomain)", trustDomain: trustDomain.name)
        try change(&recipe)
        let key = P256.Signing.PrivateKey()
        let certificate = try issue(recipe, for: Certificate.PublicKey(key.publicKey))
        return TestCA(trustDomain: trustDomain, certificate: certificate, key: key)
    }

    /// Makes a leaf with a P-256 key of its own: for the workload `/w`, unless another is named.
    package func leaf(
        _ id: String? = nil, _ change: (inout CertificateRecipe) throws -> Void = { _ in }
    ) throws -> Leaf {
        let key = P256.Signing.PrivateKey()
        return Leaf(
            certificate: try leaf(id, for: Certificate.PublicKey(key.publicKey), change), key: key)
    }

    /// Makes a leaf for a key of any kind.
    package func leaf(
        _ id: String? = nil, for publicKey: Certificate.PublicKey,
        _ change: (inout CertificateRecipe) throws -> Void = { _ in }
    ) throws -> Certificate {
        var recipe = CertificateRecipe.leaf(id ?? "spiffe://\(trustDomain)/w")
        try change(&recipe)
        return try issue(recipe, for: publicKey)
    }

    /// Makes a certificate for the name and the key of another authority, as when two sign each other; the change
    /// spoils it.
    package func crossSign(
        _ commonName: String, of other: TestCA, _ change: (inout CertificateRecipe) throws -> Void = { _ in }
    ) throws -> TestCA {
        var recipe = CertificateRecipe.authority("\(commonName) of \(trustDomain)", trustDomain: trustDomain.name)
        try change(&recipe)
        let certificate = try issue(recipe, for: Certificate.PublicKey(other.key.publicKey))
        return TestCA(trustDomain: trustDomain, certificate: certificate, key: other.key)
    }

    /// Makes what a recipe says, for a key of any kind.
    package func issue(_ recipe: CertificateRecipe, for publicKey: Certificate.PublicKey) throws -> Certificate {
        try Self.sign(
            recipe, for: publicKey, issuer: certificate.subject, issuerKey: Certificate.PrivateKey(key))
    }

    /// Makes what a recipe says under any name, with a key and an algorithm of any kind.
    package static func sign(
        _ recipe: CertificateRecipe, for publicKey: Certificate.PublicKey, issuer: DistinguishedName,
        issuerKey: Certificate.PrivateKey, algorithm: Certificate.SignatureAlgorithm = .ecdsaWithSHA256
    ) throws -> Certificate {
        try Certificate(
            version: .v3, serialNumber: recipe.serialNumber, publicKey: publicKey,
            notValidBefore: recipe.validity.lowerBound, notValidAfter: recipe.validity.upperBound, issuer: issuer,
            subject: recipe.subject(), signatureAlgorithm: algorithm,
            extensions: recipe.extensions(for: publicKey, issuerKey: issuerKey.publicKey),
            issuerPrivateKey: issuerKey)
    }
}
