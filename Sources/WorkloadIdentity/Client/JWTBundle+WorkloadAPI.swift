package import SPIFFE
package import WorkloadAPIProtos

extension JWTBundle {
    /// Reads every bundle of one message, all of them or none.
    package static func bundles(_ message: WorkloadJWTBundlesResponse) throws -> [TrustDomain: JWTBundle] {
        guard !message.bundles.isEmpty else {
            throw WorkloadAPIError(.invalidResponse, "the endpoint sent no bundle")
        }
        var bundles: [TrustDomain: JWTBundle] = [:]
        for (name, json) in message.bundles {
            let domain = try TrustDomain(bundleKey: name)
            guard bundles[domain] == nil else {
                throw WorkloadAPIError(.invalidResponse, "the endpoint sent two bundles for trust domain \(domain)")
            }
            bundles[domain] = try JWTBundle(jwkSet: json, trustDomain: domain)
        }
        return bundles
    }
}
