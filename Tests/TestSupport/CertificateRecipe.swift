package import Foundation
package import X509

/// Everything a certificate says, for tests to spoil one thing at a time.
package struct CertificateRecipe: Sendable {
    /// The instant that certificates of tests are about, and where a ``ManualClock`` starts.
    package static let now = Date(timeIntervalSince1970: 1_800_000_000)

    /// The common name; nil leaves the subject empty.
    package var commonName: String?
    package var uris: [String] = []
    package var dnsNames: [String] = []
    package var isSANCritical = false
    package var basicConstraints: BasicConstraints?
    package var keyUsage: KeyUsage?
    package var extendedKeyUsage: [ExtendedKeyUsage.Usage] = []
    package var nameConstraints: NameConstraints?
    package var moreExtensions: [Certificate.Extension] = []
    package var hasKeyIdentifiers = true
    package var validity: Range<Date>
    package var serialNumber = Certificate.SerialNumber()

    private init(commonName: String?, validity: Range<Date>) {
        (self.commonName, self.validity) = (commonName, validity)
    }

    /// A sound leaf: one URI SAN, digital signatures, both extended usages, half an hour either way.
    package static func leaf(_ id: String) -> CertificateRecipe {
        var recipe = CertificateRecipe(commonName: nil, validity: now - 1800..<now + 1800)
        recipe.commonName = "leaf"
        recipe.uris = [id]
        recipe.basicConstraints = .notCertificateAuthority
        recipe.keyUsage = KeyUsage(digitalSignature: true)
        recipe.extendedKeyUsage = [.serverAuth, .clientAuth]
        return recipe
    }

    /// A sound authority: its trust domain's own ID, certificate signing, half a day either way.
    package static func authority(_ commonName: String, trustDomain: String) -> CertificateRecipe {
        var recipe = CertificateRecipe(commonName: commonName, validity: now - 43_200..<now + 43_200)
        recipe.uris = ["spiffe://\(trustDomain)"]
        recipe.basicConstraints = .isCertificateAuthority(maxPathLength: nil)
        recipe.keyUsage = KeyUsage(keyCertSign: true, cRLSign: true)
        return recipe
    }

    package func subject() throws -> DistinguishedName {
        guard let commonName else { return DistinguishedName() }
        return try DistinguishedName {
            OrganizationName("Mintmark Test")
            CommonName(commonName)
        }
    }

    func extensions(for key: Certificate.PublicKey, issuerKey: Certificate.PublicKey) throws -> Certificate.Extensions {
        var extensions: [Certificate.Extension] = []
        if let basicConstraints { extensions.append(try .init(basicConstraints, critical: true)) }
        if let keyUsage { extensions.append(try .init(keyUsage, critical: true)) }
        if !extendedKeyUsage.isEmpty {
            extensions.append(try .init(try ExtendedKeyUsage(extendedKeyUsage), critical: false))
        }
        let names: [GeneralName] =
            uris.map { .uniformResourceIdentifier($0) } + dnsNames.map { .dnsName($0) }
        if !names.isEmpty {
            extensions.append(try .init(SubjectAlternativeNames(names), critical: isSANCritical))
        }
        if let nameConstraints { extensions.append(try .init(nameConstraints, critical: true)) }
        extensions += moreExtensions
        guard hasKeyIdentifiers else { return try Certificate.Extensions(extensions) }
        extensions.append(try .init(SubjectKeyIdentifier(hash: key), critical: false))
        extensions.append(
            try .init(
                AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: issuerKey).keyIdentifier),
                critical: false))
        return try Certificate.Extensions(extensions)
    }
}
