package import Bootstrap
internal import Foundation
package import GRPCNIOTransportHTTP2Posix
package import IssuerDomain
package import Logging
package import Platform
package import SPIFFE
internal import Synchronization
internal import WorkloadIdentity
internal import X509

/// Connects to an issuer above as a workload of its trust domain, with the SVID that an agent gives this server.
package final class WorkloadIdentityConnection: Sendable {
    private let address: ServerAddress
    private let endpoint: WorkloadEndpoint
    private let trustDomain: TrustDomain
    private let clock: any WallClock
    private let logger: Logger
    private let source = Mutex<X509Source?>(nil)
    private let starting = Turnstile()

    /// How long the agent may take to give the first SVID, each time it is asked.
    private static let patience = Duration.seconds(5)

    /// Creates a connection; neither the agent nor the issuer is asked yet, and either may be away.
    ///
    /// - Parameters:
    ///   - address: Where the issuer above listens.
    ///   - endpoint: The agent's workload socket.
    ///   - trustDomain: The trust domain of all three.
    ///   - clock: By which the issuer's certificate must be valid.
    ///   - logger: For what happens with the agent.
    package init(
        to address: ServerAddress, endpoint: WorkloadEndpoint, trustDomain: TrustDomain, clock: any WallClock,
        logger: Logger
    ) {
        (self.address, self.endpoint, self.trustDomain) = (address, endpoint, trustDomain)
        (self.clock, self.logger) = (clock, logger)
    }

    /// A transport that presents the SVID of the moment, to the server `spiffe://<trust domain>/spire/server` alone.
    ///
    /// - Throws: `unavailable` when the agent gives no SVID.
    package func transport() async throws(UpstreamError) -> HTTP2ClientTransport.Posix {
        let source = try await readySource()
        do {
            let expected = try SPIFFEID(trustDomain: trustDomain, path: "/spire/server")
            let svid = try source.svid
            return try TLSClient.transport(
                to: address,
                identity: TLSIdentity(
                    chain: try svid.certificates.map { try $0.derBytes() }, key: SecretBytes(svid.privateKeyDER))
            ) { [clock] presented throws(SPIFFEError) in
                let verified = try X509SVIDVerification.verify(presented, at: clock.now) { source.bundle(for: $0) }
                guard verified.id == expected else {
                    throw SPIFFEError(.untrusted, "'\(verified.id)' is not the server of this trust domain")
                }
                return verified
            }
        } catch { throw .unavailable(detail: "no identity to show upstream: \(error)") }
    }

    private func readySource() async throws(UpstreamError) -> X509Source {
        try await starting.pass { [self] () async throws(UpstreamError) in
            if let source = source.withLock({ $0 }) { return source }
            do throws(WorkloadAPIError) {
                let started = try await X509Source.start(
                    options: SourceOptions(endpoint: endpoint, timeout: Self.patience, logger: logger))
                source.withLock { $0 = started }
                return started
            } catch { throw .unavailable(detail: "the agent at \(endpoint) gives no SVID: \(error.message)") }
        }
    }
}
