package import Foundation
package import X509

/// Path validation by RFC 5280 for certificates that are no SVIDs, such as those that nodes bring from elsewhere.
///
/// The same search as for SVIDs, without their profile: what the leaf may be used for is the caller's to judge.
package enum CertificatePathVerification {
    /// Looks for a path from a leaf to one of some authorities.
    ///
    /// - Parameters:
    ///   - presented: Leaf first; the caller has bounded their number.
    ///   - authorities: Whom to believe.
    ///   - instant: The time at which everything must be valid.
    /// - Returns: The path, leaf first and authority last.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID`, `outsideValidity` or `untrusted`.
    package static func path(
        presented: [Certificate], authorities: [Certificate], at instant: Date
    ) throws(SPIFFEError) -> [Certificate] {
        guard let first = presented.first else { throw SPIFFEError(.invalidX509SVID, "no certificate was presented") }
        guard presented.count <= X509SVIDVerification.maximumChainLength else {
            throw SPIFFEError(
                .invalidX509SVID, "chain is longer than \(X509SVIDVerification.maximumChainLength) certificates")
        }
        // One that is itself an authority is nobody's subject.
        guard !authorities.contains(first) else { throw SPIFFEError(.untrusted, "leaf is one of the authorities") }
        let leaf = try PathCertificate(first)
        if case .isCertificateAuthority? = leaf.basicConstraints {
            throw SPIFFEError(.untrusted, "leaf is an authority")
        }
        var intermediates: [PathCertificate] = []
        for certificate in presented.dropFirst() { intermediates.append(try PathCertificate(certificate)) }
        var search = PathSearch(
            authorities: authorities.compactMap { try? PathCertificate($0) }, intermediates: intermediates[...],
            at: instant, revocationLists: [])
        return try search.path(from: leaf).map(\.certificate)
    }
}
