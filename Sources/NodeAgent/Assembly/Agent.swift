internal import AgentDomain
package import Bootstrap
internal import Foundation
package import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
package import Logging
internal import NodeAttestation
package import Platform
package import SPIFFE
package import ServiceLifecycle
internal import X509

/// A node agent, opened and ready to be run.
package struct Agent: Sendable {
    private let configuration: AgentConfiguration
    private let logger: Logger
    private let workloads: SocketService
    private let admin: SocketService
    private let reporter: IncidentReporter
    private let metrics: AgentMetrics
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
                hint:
                    "run 'mintmark bundle show' on the server, and start the agent with --trust-bundle FILE, or --trust-bundle-url URL"
            )
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
        let nodeKey = try store.loadNodeKey()
        if let early = identity, clock.now < early.validity.lowerBound, nodeKey?.agentID != nil {
            logger.warning(
                "agent svid of the last run is not valid yet; coming in again", metadata: ["agent.id": "\(early.id)"])
            identity = nil
        }
        if let kept = identity, remote.joinToken != nil, let given = remote.bootstrapBundle, !kept.isIssued(by: given) {
            logger.notice(
                "agent svid of the last run is of another authority; joining anew",
                metadata: ["agent.id": "\(kept.id)"])
            identity = nil
        }
        let rebootstrap = remote.rebootstrap.map { Rebootstrap($0, trust: trust, logger: logger) }
        let makeTransport: @Sendable (NodeIdentity?) throws -> HTTP2ClientTransport.Posix = { identity in
            try TLSClient.transport(to: remote.address, identity: identity?.tls) {
                presented throws(SPIFFEError) in
                do throws(SPIFFEError) {
                    let server = try IssuerCertificate.verify(presented, trust: trust, now: clock.now)
                    rebootstrap?.noteTrusted()
                    return server
                } catch {
                    if error.code == .untrusted { rebootstrap?.noteStranger(at: clock.now) }
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
            identity: identity, nodeKey: nodeKey,
            prover: remote.joinToken.map { JoinTokenProver($0) } ?? remote.prover, staysWhenRefused: false,
            store: store, rebootstrap: rebootstrap, clock: clock, logger: logger)
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
            identity: nil, prover: EmbeddedProver(), staysWhenRefused: true, store: nil, clock: clock,
            logger: logger)
        try self.init(configuration, link: link, trust: trust, store: nil, clock: clock, logger: logger)
    }

    private init(
        _ configuration: AgentConfiguration, link: IssuerLink<some ClientTransport>, trust: TrustStore,
        store: NodeIdentityStore?, clock: any WallClock, logger: Logger
    ) throws(Failure) {
        try configuration.workloadSocket.refuseIfTaken()
        try configuration.adminSocket.refuseIfTaken()
        self.configuration = configuration
        self.logger = logger
        let state = AgentState()
        let supply = SVIDSupply(issuer: link.issuer, state: state, clock: clock, logger: logger)
        let attestation = AttestationParts(configuration, clock: clock, logger: logger)
        let incidents = IncidentQueue()
        let sockets = SocketReport()
        let parts = WorkloadHandler.Parts(
            sources: attestation.sources, hashing: attestation.hashing, state: state, supply: supply,
            questions: AttestationQuestions(
                examiner: ProcessExaminer(sources: attestation.sources, hashing: attestation.hashing), state: state,
                clock: clock,
                // How much others ask for is not everybody's business.
                host: { attestation.hostReport($0.isAdmin ? sockets.checks : []) }),
            settle: { await attestation.settle($0, pid: $1) },
            incidents: incidents, clock: clock, logger: logger)
        workloads = SocketService(
            // Anyone may connect: who gets what is decided by attestation, not by file mode.
            configuration.workloadSocket, mode: 0o777, handler: WorkloadHandler(parts), state: state, logger: logger)
        admin = SocketService(
            configuration.adminSocket, mode: 0o600, handler: WorkloadHandler(parts, isAdmin: true), state: state,
            logger: logger)
        sockets.add("workload socket") { [workloads] in workloads.counters }
        sockets.add("admin socket") { [admin] in admin.counters }
        var entropy = SystemEntropy()
        reporter = IncidentReporter(
            queue: incidents, runID: RandomID.draw(using: &entropy), logger: logger
        ) { (runID, batch) async throws(IssuerClientError) in try await link.issuer.report(runID: runID, batch) }
        let sync = SyncLoop(
            link: link, state: state, supply: supply, trust: trust, store: store, clock: clock, logger: logger)
        metrics = AgentMetrics(
            state: state, syncs: sync.counters,
            sockets: [
                ("workload", { [workloads] in workloads.counters }), ("admin", { [admin] in admin.counters }),
            ],
            identityEnd: { link.identity?.validity.upperBound }, clock: clock, startedAt: clock.now)
        loop = { try await sync.run(onFirstSync: $0) }
    }

    /// Whether an agent that runs in a folder knows its server from an earlier run.
    package static func holdsBundle(in folder: StateFolder, files: any FileSystem) -> Bool {
        NodeIdentityStore(folder: folder, files: files).hasBundle
    }

    /// What has to run for this agent to work.
    ///
    /// - Parameter onReady: Called once, when workloads can be served.
    /// - Returns: The workload server and the loop that follows the issuer; neither has started.
    package func services(onReady: @escaping @Sendable () async throws -> Void) -> [any Service] {
        var services: [any Service] = [
            workloads, admin,
            LoopService { [reporter] in try await reporter.run() },
            LoopService { [workloads, admin, loop] in
                try await loop {
                    // All halves of being ready: something to say, and sockets to say it on.
                    guard await workloads.isListening, await admin.isListening else { return }
                    try await onReady()
                }
            },
        ]
        if let address = configuration.metrics {
            services.append(
                MetricsListener(host: address.host, port: address.port, logger: logger) { [metrics] in metrics.text })
        }
        return services
    }

    /// What it measures of itself, in the text format of Prometheus.
    package var metricsText: @Sendable () -> String { { [metrics] in metrics.text } }

    /// Removes the sockets.
    package func close() {
        configuration.workloadSocket.remove()
        configuration.adminSocket.remove()
    }
}

/// Shows nothing: the issuer knows who shares its process.
private struct EmbeddedProver: NodeProver {
    var type: String { "embedded" }

    func payload() async throws(NodeAttestationError) -> [UInt8] { [] }

    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        throw .exchange("nothing is asked within one process")
    }
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
