public import SPIFFE
package import WorkloadAPIProtos

/// The X.509 bundles this process may judge peers by, as of one message: the whole state, no delta.
public struct X509BundleUpdate: Hashable, Sendable {
    /// Bundles by trust domain: the own one and those federated with.
    ///
    /// Never empty.
    public let bundles: [TrustDomain: X509Bundle]

    /// What authorities have revoked; usually empty.
    ///
    /// Lists of a kind that is not understood, such as delta lists, are left out: the endpoint means them for others.
    public let revocationLists: [RevocationList]

    /// Reads one message, all of it or nothing.
    package init(_ message: WorkloadX509BundlesResponse) throws {
        guard !message.bundles.isEmpty else {
            throw WorkloadAPIError(.invalidResponse, "the endpoint sent no bundle")
        }
        var bundles: [TrustDomain: X509Bundle] = [:]
        for (name, bytes) in message.bundles {
            let domain = try TrustDomain(bundleKey: name)
            guard bundles[domain] == nil else {
                throw WorkloadAPIError(.invalidResponse, "the endpoint sent two bundles for trust domain \(domain)")
            }
            bundles[domain] = X509Bundle(
                trustDomain: domain, authorities: try DERConcatenation.certificates(in: bytes))
        }
        self.bundles = bundles
        revocationLists = try RevocationList.understood(in: message.crl)
    }
}
