public import Foundation
public import X509

/// Path validation by RFC 5280 with the X.509-SVID profile on top.
///
/// Synchronous, and bounded in what it does for a hostile peer, so that it may run on an event loop during a handshake.
public enum X509SVIDVerification {
    /// The longest chain judged; a hostile peer may send more.
    public static let maximumChainLength = 10

    /// Verifies a presented chain against the bundle of the leaf's own trust domain, and no other (X509-24..30).
    ///
    /// A certificate of the chain that one of the lists revokes makes it invalid, as long as the list is signed by the
    /// authority that issued the certificate, with that key or another of the same name in the bundle; what other lists
    /// say does not count. A list whose time has passed still
    /// revokes, and never is a reason to refuse the rest: lists are an option of the Workload API, and nothing promises
    /// fresh ones.
    ///
    /// - Parameters:
    ///   - presented: The certificates as the peer sent them, leaf first.
    ///   - instant: The time at which everything must be valid.
    ///   - revocationLists: What authorities have revoked; empty to ask nobody.
    ///   - bundle: Looks up the bundle of a trust domain; nil means that the domain is not trusted.
    /// - Returns: The identity, now proven.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID`, `invalidID`, `invalidTrustDomain`, `unknownTrustDomain`,
    ///   `outsideValidity`, `revoked` or `untrusted`.
    public static func verify(
        _ presented: [Certificate], at instant: Date, revocationLists: [RevocationList] = [],
        bundle: (TrustDomain) -> X509Bundle?
    ) throws(SPIFFEError) -> VerifiedX509SVID {
        try checkLength(presented.count)
        var chain: [PathCertificate] = []
        chain.reserveCapacity(presented.count)
        for certificate in presented { chain.append(try PathCertificate(certificate)) }
        return try verify(chain, at: instant, revocationLists: revocationLists, bundle: bundle)
    }

    /// Parses and verifies a presented chain; the same judgement for whoever has the bytes.
    ///
    /// - Parameters:
    ///   - presented: One DER certificate each, as the peer sent them, leaf first.
    ///   - instant: The time at which everything must be valid.
    ///   - revocationLists: What authorities have revoked; empty to ask nobody.
    ///   - bundle: Looks up the bundle of a trust domain; nil means that the domain is not trusted.
    /// - Returns: The identity, now proven.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID`, `invalidID`, `invalidTrustDomain`, `unknownTrustDomain`,
    ///   `outsideValidity`, `revoked` or `untrusted`.
    public static func verify(
        presentedDER presented: [[UInt8]], at instant: Date, revocationLists: [RevocationList] = [],
        bundle: (TrustDomain) -> X509Bundle?
    ) throws(SPIFFEError) -> VerifiedX509SVID {
        try checkLength(presented.count)
        var chain: [PathCertificate] = []
        chain.reserveCapacity(presented.count)
        for der in presented { chain.append(try PathCertificate(DERConcatenation.certificate(in: der[...]))) }
        return try verify(chain, at: instant, revocationLists: revocationLists, bundle: bundle)
    }

    private static func verify(
        _ chain: [PathCertificate], at instant: Date, revocationLists: [RevocationList],
        bundle: (TrustDomain) -> X509Bundle?
    ) throws(SPIFFEError) -> VerifiedX509SVID {
        let (leaf, intermediates) = (chain[0], chain[1...])
        let id = try X509SVIDProfile.checkLeaf(leaf)
        for intermediate in intermediates { try X509SVIDProfile.checkIntermediate(intermediate) }
        guard let bundle = bundle(id.trustDomain), bundle.trustDomain == id.trustDomain else {
            throw SPIFFEError(.unknownTrustDomain, "no bundle is held for trust domain \(id.trustDomain)")
        }
        // A leaf that is itself in the root store is nobody's subject; it must not pass as its own authority's.
        guard !bundle.authorities.contains(leaf.certificate) else {
            throw SPIFFEError(.untrusted, "leaf is one of the authorities")
        }
        var search = PathSearch(
            authorities: bundle.issuers, intermediates: intermediates, at: instant, revocationLists: revocationLists)
        return VerifiedX509SVID(id: id, path: try search.path(from: leaf))
    }

    private static func checkLength(_ count: Int) throws(SPIFFEError) {
        guard count > 0 else { throw SPIFFEError(.invalidX509SVID, "no certificate was presented") }
        guard count <= maximumChainLength else {
            throw SPIFFEError(.invalidX509SVID, "chain is longer than \(maximumChainLength) certificates")
        }
    }
}
