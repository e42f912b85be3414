internal import AgentDomain
package import Bootstrap
internal import Foundation
internal import GRPCConnections
package import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import IssuerAPIProtos
package import Logging
package import Platform
package import SPIFFE
package import ServiceLifecycle
internal import WorkloadAPIProtos
internal import WorkloadAttestation
internal import X509

/// A node agent, opened and ready to be run.
package struct Agent: Sendable {
    private let configuration: AgentConfiguration
    private let logger: Logger
    private let workloadServer: GRPCServer<ConnectionAwareTransport<WorkloadPeer>>
    private let workloadTransport: ConnectionAwareTransport<WorkloadPeer>
    private let loop: @Sendable (@escaping @Sendable () async throws -> Void) async throws -> Void

    /// Opens an agent whose issuer is another process, reached by mTLS.
    ///
    /// - Parameters:
    ///   - configuration: What to serve.
    ///   - remote: How to reach the issuer.
    ///   - clock: The time.
    ///   - files: Where the identity is kept.
    ///   - logger: For what happens.
    /// - Throws: ``Failure``, with the next step.
    package init(
        _ configuration: AgentConfiguration, remote: RemoteIssuer, clock: any WallClock, files: any FileSystem,
        logger: Logger
    ) throws(Failure) {
        let store = NodeIdentityStore(folder: remote.folder, files: files)
        let kept = try store.loadBundle(of: configuration.trustDomain)
        let given = [kept, remote.bootstrapBundle].compactMap(\.self)
        guard !given.isEmpty else {
            throw Failure(
                .configuration, "nothing says whom to trust on first contact",
                hint: "run 'mintmark bundle show' on the server, and start the agent with --trust-bundle FILE")
        }
        // Both, until the server says itself what holds: a rebuilt server is known by the bundle given now, not the one kept.
        let trust = TrustStore(
            TrustBundle(
                trustDomain: configuration.trustDomain, x509Authorities: given.flatMap(\.x509.authorities),
                jwtAuthorities: [:]))
        guard !trust.current.x509.authorities.isEmpty else {
            throw Failure(
                .configuration, "the trust bundle holds no X.509 authority, so no server can be believed",
                hint: "write a new one with 'mintmark bundle show' on the server")
        }
        var identity = try store.loadIdentity(now: clock.now)
        if let ended = identity, ended.validity.upperBound <= clock.now {
            logger.warning("agent svid of the last run has expired", metadata: ["agent.id": "\(ended.id)"])
            identity = nil
        }
        if let kept = identity, remote.joinToken != nil, let given = remote.bootstrapBundle, !kept.isIssued(by: given) {
            logger.notice(
                "agent svid of the last run is of another authority; joining anew",
                metadata: ["agent.id": "\(kept.id)"])
            identity = nil
        }
        let makeTransport: @Sendable (NodeIdentity?) throws -> HTTP2ClientTransport.Posix = { identity in
            try TLSClient.transport(to: remote.address, identity: identity?.tls) {
                presented throws(SPIFFEError) in
                do throws(SPIFFEError) {
                    return try IssuerCertificate.verify(presented, trust: trust, now: clock.now)
                } catch {
                    logger.warning(
                        "server is not trusted",
                        metadata: ["server.address": "\(remote.address)", "error": "\(error)"])
                    throw error
                }
            }
        }
        let client: RotatingClient<HTTP2ClientTransport.Posix>
        do { client = RotatingClient(try makeTransport(identity)) } catch {
            throw Failure(
                .refused, "cannot prepare TLS: \(error)", hint: "remove the agent's data folder and join again")
        }
        let link = IssuerLink(
            client: client, trustDomain: configuration.trustDomain, makeTransport: { try makeTransport($0) },
            identity: identity,
            evidence: remote.joinToken.map {
                NodeEvidence(type: "join_token", payload: SecretBytes($0.exposed.utf8))
            },
            canReattest: false, store: store, clock: clock, logger: logger)
        try self.init(configuration, link: link, trust: trust, store: store, clock: clock, logger: logger)
    }

    /// Opens an agent whose issuer is in the same process.
    ///
    /// - Parameters:
    ///   - configuration: What to serve.
    ///   - transport: Carries calls to the issuer half.
    ///   - bundle: The issuer's bundle at any moment; a copy would be stale after a long sleep.
    ///   - present: Hands the issuer half the chain that this agent presents, as TLS would.
    ///   - clock: The time.
    ///   - logger: For what happens.
    /// - Throws: ``Failure``, with the next step.
    package init(
        _ configuration: AgentConfiguration, embedded transport: some ClientTransport,
        bundle: @escaping @Sendable () -> TrustBundle,
        present: @escaping @Sendable (VerifiedX509SVID) -> Void, clock: any WallClock, logger: Logger
    ) throws(Failure) {
        let trust = TrustStore(bundle())
        let link = IssuerLink(
            client: RotatingClient(transport), trustDomain: configuration.trustDomain,
            makeTransport: { identity in
                guard let identity else { return nil }
                let chain = try identity.tls.chain.map { try DERConcatenation.certificate(in: $0[...]) }
                let svid = try X509SVIDVerification.verify(chain, at: clock.now) {
                    $0 == configuration.trustDomain ? bundle().x509 : nil
                }
                present(svid)
                return nil
            },
            identity: nil, evidence: NodeEvidence(type: "embedded", payload: SecretBytes([])), canReattest: true,
            store: nil, clock: clock, logger: logger)
        try self.init(configuration, link: link, trust: trust, store: nil, clock: clock, logger: logger)
    }

    private init(
        _ configuration: AgentConfiguration, link: IssuerLink<some ClientTransport>, trust: TrustStore,
        store: NodeIdentityStore?, clock: any WallClock, logger: Logger
    ) throws(Failure) {
        try configuration.workloadSocket.refuseIfTaken()
        self.configuration = configuration
        self.logger = logger
        let state = AgentState()
        let supply = SVIDSupply(issuer: link.issuer, state: state, clock: clock, logger: logger)
        let door = WorkloadDoor()
        workloadTransport = ConnectionAwareTransport(
            // Anyone may connect: who gets what is decided by attestation, not by file mode.
            endpoint: .unix(configuration.workloadSocket, mode: 0o777), limits: .workloads, security: .none
        ) { door.accept($0) }
        let service = WorkloadAPIService(
            attestor: UnixAttestor(sizeLimit: configuration.executableSizeLimit), state: state, supply: supply,
            clock: clock, logger: logger)
        workloadServer = GRPCServer(
            transport: workloadTransport,
            services: [service, HealthService { state.view.isServing(at: clock.now) }],
            interceptorPipeline: [
                .apply(
                    SecurityHeaderInterceptor(), to: .services([WorkloadSpiffeWorkloadAPI.descriptor]))
            ])
        let sync = SyncLoop(
            link: link, state: state, supply: supply, trust: trust, store: store, clock: clock, logger: logger)
        loop = { try await sync.run(onFirstSync: $0) }
    }

    /// What has to run for this agent to work.
    ///
    /// - Parameter onReady: Called once, when workloads can be served.
    /// - Returns: The workload server and the loop that follows the issuer; neither has started.
    package func services(onReady: @escaping @Sendable () async throws -> Void) -> [any Service] {
        [
            GRPCService(workloadServer),
            LoopService { [workloadTransport, loop] in
                try await loop {
                    // Both halves of being ready: something to say, and a socket to say it on.
                    guard await workloadTransport.listeningAddress != nil else { return }
                    try await onReady()
                }
            },
        ]
    }

    /// Removes the workload socket.
    package func close() { configuration.workloadSocket.remove() }
}

/// Judges the certificate that an issuer presents.
enum IssuerCertificate {
    static func verify(
        _ presented: [Certificate], trust: TrustStore, now: Date
    ) throws(SPIFFEError) -> VerifiedX509SVID {
        let bundle = trust.current
        let svid = try X509SVIDVerification.verify(presented, at: now) {
            $0 == bundle.trustDomain ? bundle.x509 : nil
        }
        guard svid.id.path == "/spire/server" else {
            throw SPIFFEError(.untrusted, "'\(svid.id)' is not a server of trust domain \(bundle.trustDomain)")
        }
        return svid
    }
}
