internal import SwiftASN1
package import X509

/// The rules of the X.509-SVID document for single certificates; trust is another question.
package enum X509SVIDProfile {
    /// Judges a leaf by every rule that go-spiffe applies on loading, and applies them on verification too.
    ///
    /// - Parameter leaf: The end-entity certificate.
    /// - Returns: The SPIFFE ID it names. Not yet an identity: nothing was said about trust.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID` or `invalidID` (X509-25..29, X05..X08).
    package static func checkLeaf(_ leaf: Certificate) throws(SPIFFEError) -> SPIFFEID {
        try checkLeaf(PathCertificate(leaf))
    }

    static func checkLeaf(_ leaf: PathCertificate) throws(SPIFFEError) -> SPIFFEID {
        let id = try spiffeID(of: leaf)
        guard id.hasPath else {
            throw SPIFFEError(.invalidX509SVID, "leaf names the trust domain, not a workload")
        }
        if case .isCertificateAuthority = leaf.basicConstraints {
            throw SPIFFEError(.invalidX509SVID, "leaf is a certificate authority")
        }
        guard let usage = leaf.keyUsage else {
            throw SPIFFEError(.invalidX509SVID, "leaf has no key usage")
        }
        guard usage.digitalSignature else {
            throw SPIFFEError(.invalidX509SVID, "leaf may not make digital signatures")
        }
        guard !usage.keyCertSign, !usage.cRLSign else {
            throw SPIFFEError(.invalidX509SVID, "leaf may sign certificates or revocation lists")
        }
        return id
    }

    /// Judges an intermediate: an authority that may sign certificates (X509-12, X509-13).
    ///
    /// - Parameter certificate: A certificate after the leaf.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID`.
    package static func checkIntermediate(_ certificate: Certificate) throws(SPIFFEError) {
        try checkIntermediate(PathCertificate(certificate))
    }

    static func checkIntermediate(_ certificate: PathCertificate) throws(SPIFFEError) {
        guard case .isCertificateAuthority? = certificate.basicConstraints else {
            throw SPIFFEError(.invalidX509SVID, "intermediate is not a certificate authority")
        }
        guard let usage = certificate.keyUsage, usage.keyCertSign else {
            throw SPIFFEError(.invalidX509SVID, "intermediate may not sign certificates")
        }
    }

    /// The SPIFFE ID in the one URI SAN (X509-27, X509-29).
    ///
    /// - Parameter certificate: Any certificate.
    /// - Returns: The ID, with or without a path; SANs of other kinds are not looked at.
    /// - Throws: ``SPIFFEError`` when there is no URI SAN, more than one, or one that is not a SPIFFE ID.
    package static func spiffeID(of certificate: Certificate) throws(SPIFFEError) -> SPIFFEID {
        try spiffeID(of: PathCertificate(certificate))
    }

    private static func spiffeID(of certificate: PathCertificate) throws(SPIFFEError) -> SPIFFEID {
        var found: String?
        for case .uniformResourceIdentifier(let uri) in try certificate.alternativeNames() {
            guard found == nil else {
                throw SPIFFEError(.invalidX509SVID, "certificate has more than one URI SAN")
            }
            found = uri
        }
        guard let found else { throw SPIFFEError(.invalidX509SVID, "certificate has no URI SAN") }
        return try SPIFFEID(found)
    }
}
