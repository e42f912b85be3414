internal import Foundation
public import SPIFFE
package import WorkloadAPIProtos

/// Every X.509-SVID of this process and the bundles to judge peers by, as of one message: the whole state, no delta.
public struct X509Update: Sendable {
    /// The identities; the first is the default one (WLAPI-11).
    ///
    /// Never empty.
    public let svids: [X509SVID]

    /// Bundles by trust domain: the own one and those federated with.
    public let bundles: [TrustDomain: X509Bundle]

    /// What authorities have revoked; usually empty.
    ///
    /// Lists of a kind that is not understood, such as delta lists, are left out: the endpoint means them for others.
    public let revocationLists: [RevocationList]

    /// Creates an update by hand, for a process that has its SVIDs from elsewhere.
    ///
    /// - Parameters:
    ///   - svids: The identities; the first is the default one.
    ///   - bundles: Whom to judge peers by, one for each trust domain.
    ///   - revocationLists: What authorities have revoked.
    /// - Throws: ``WorkloadAPIError`` with code `invalidResponse` when there is no SVID, or more than one bundle for a
    ///   trust domain.
    public init(
        svids: [X509SVID], bundles: [X509Bundle], revocationLists: [RevocationList] = []
    ) throws(WorkloadAPIError) {
        guard !svids.isEmpty else { throw WorkloadAPIError(.invalidResponse, "there is no SVID") }
        self.svids = svids
        let byDomain = Dictionary(bundles.map { ($0.trustDomain, $0) }) { first, _ in first }
        guard byDomain.count == bundles.count else {
            throw WorkloadAPIError(.invalidResponse, "there are two bundles for one trust domain")
        }
        self.bundles = byDomain
        self.revocationLists = revocationLists
    }

    /// Reads one message, all of it or nothing.
    package init(_ message: WorkloadX509SVIDResponse) throws {
        guard !message.svids.isEmpty else { throw WorkloadAPIError(.invalidResponse, "the endpoint sent no SVID") }
        var svids: [X509SVID] = []
        var bundles: [TrustDomain: X509Bundle] = [:]
        var hints: Set<ExactText> = []
        for wire in message.svids {
            let svid = try X509SVID(chain: wire.x509Svid, privateKey: wire.x509SvidKey, hint: wire.hint)
            guard wire.spiffeID.utf8.elementsEqual("\(svid.id)".utf8) else {
                throw WorkloadAPIError(.invalidResponse, "a certificate names another identity than its message")
            }
            guard !wire.bundle.isEmpty else {
                throw WorkloadAPIError(.invalidResponse, "an SVID came without the bundle of its trust domain")
            }
            let bundle = X509Bundle(
                trustDomain: svid.id.trustDomain, authorities: try DERConcatenation.certificates(in: wire.bundle))
            // Two that differ: which came last would be chance.
            guard bundles.updateValue(bundle, forKey: bundle.trustDomain) ?? bundle == bundle else {
                throw WorkloadAPIError(
                    .invalidResponse, "the endpoint sent two bundles for trust domain \(bundle.trustDomain)")
            }
            // WLAPI-39: the first with a hint keeps it.
            if wire.hint.isEmpty || hints.insert(ExactText(wire.hint)).inserted { svids.append(svid) }
        }
        let own = Set(bundles.keys)
        for (name, bytes) in message.federatedBundles {
            let domain = try TrustDomain(bundleKey: name)
            // The bundle that came with an SVID is the domain's own word.
            guard !own.contains(domain) else { continue }
            // Two spellings of one key: which came last would be chance.
            guard bundles[domain] == nil else {
                throw WorkloadAPIError(.invalidResponse, "the endpoint sent two bundles for trust domain \(domain)")
            }
            bundles[domain] = X509Bundle(
                trustDomain: domain, authorities: try DERConcatenation.certificates(in: bytes))
        }
        self.svids = svids
        self.bundles = bundles
        revocationLists = try RevocationList.understood(in: message.crl)
    }
}

extension TrustDomain {
    /// Reads the key of a bundle map: `spiffe://td`, or `td` as some endpoints write it (GS-10).
    init(bundleKey text: String) throws(SPIFFEError) {
        self = try text.utf8.starts(with: "spiffe://".utf8) ? SPIFFEID(text).trustDomain : TrustDomain(text)
    }
}
