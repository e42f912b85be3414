package import Bootstrap
internal import IssuerDomain
internal import Logging
internal import Platform
package import SPIFFE
internal import UpstreamAuthorities

/// What stands above an issuer.
package enum UpstreamSettings: Hashable, Sendable {
    /// A CA whose key and certificates are files in PEM; without roots when the certificate is one itself.
    case disk(certificates: String, key: String, roots: String?)
    /// Another issuer of the same trust domain, to which this one is a workload of an agent.
    case issuer(address: ServerAddress, workload: WorkloadEndpoint)

    /// Makes the upstream; nothing is read or asked yet.
    func open(
        trustDomain: TrustDomain, clock: any WallClock, files: any FileSystem, logger: Logger
    ) -> any UpstreamAuthority {
        switch self {
        case .disk(let certificates, let key, let roots):
            return DiskUpstream(
                trustDomain: trustDomain, paths: .init(certificates: certificates, key: key, bundle: roots),
                files: files, clock: clock)
        case .issuer(let address, let workload):
            let connection = WorkloadIdentityConnection(
                to: address, endpoint: workload, trustDomain: trustDomain, clock: clock, logger: logger)
            return IssuerUpstream(trustDomain: trustDomain, clock: clock, logger: logger) { () throws(UpstreamError) in
                try await connection.transport()
            }
        }
    }
}
