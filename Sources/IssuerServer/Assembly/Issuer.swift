package import Bootstrap
internal import Foundation
internal import GRPCConnections
package import GRPCCore
package import GRPCInProcessTransport
internal import GRPCNIOTransportHTTP2Posix
internal import IssuerDomain
internal import KeyStore
internal import LinuxKernel
internal import LocalGRPC
package import Logging
internal import NodeAttestation
internal import NIOCore
internal import OutboundHTTP
internal import RecordSpool
package import Platform
package import SPIFFE
internal import SQLiteStore
package import ServiceLifecycle
internal import WorkloadIdentity

/// An issuer, opened and ready to be run.
package struct Issuer: Sendable {
    private let configuration: IssuerConfiguration
    private let clock: any WallClock
    private let logger: Logger
    private let store: SQLiteStore
    private let guardedEntries: GuardedEntryStore
    private let authorities: AuthorityKeeper
    private let federation: FederationRegistrar
    private let bundleFollower: BundleFollower
    private let entries: EntryRegistrar
    private let agents: AgentRegistrar
    private let attestors: NodeAttestors
    private let svids: SVIDIssuer
    private let legacyAgents: LegacyAgents
    private let entriesFolder: WatchedFolder?
    private let feed: RevisionFeed
    private let recordedIncidents = RecordedIncidents()
    private let serverSVID: ServerSVID
    private let admission: Admission
    private let tcp: ConnectionAwareTransport<TLSCaller>?
    private let local: LocalTransport<LocalCaller>

    /// Opens the store and the keys, makes the first authorities where there are none, and claims the sockets.
    ///
    /// - Parameters:
    ///   - configuration: What to open.
    ///   - clock: The time.
    ///   - files: Where the keys are.
    ///   - logger: For what happens.
    /// - Throws: ``Failure``, with the next step.
    package init(
        _ configuration: IssuerConfiguration, clock: any WallClock, files: any FileSystem, logger: Logger
    ) async throws(Failure) {
        let logger = logger.tellingOrigin
        self.configuration = configuration
        self.clock = clock
        self.logger = logger
        try configuration.adminSocket.refuseIfTaken()
        feed = RevisionFeed()
        do {
            store = try SQLiteStore(path: configuration.databasePath, trustDomain: configuration.trustDomain)
            let keys = try await configuration.keyStore.open(
                folder: configuration.keyFolder, files: files, logger: logger)
            var entropy = SystemEntropy()
            let server = try ServerIDFile(path: configuration.serverIDPath, files: files).load(using: &entropy)
            if !keys.outlivesProcess { try await ForgottenAuthorities.retire(of: server, in: store) }
            authorities = try await AuthorityKeeper(
                trustDomain: configuration.trustDomain, settings: configuration.authorities, server: server,
                store: store, keys: keys,
                notes: keys.outlivesProcess ? KeyNotesFile(path: configuration.keyNotesPath, files: files) : nil,
                upstream: configuration.upstream?.open(
                    trustDomain: configuration.trustDomain, clock: clock, files: files, logger: logger),
                feed: feed, now: clock.now, using: SystemEntropy(), logger: logger)
            guardedEntries = GuardedEntryStore(
                store, named: configuration.access.policy.namedIDs,
                needsSecondPerson: configuration.access.approvalLifetime != nil,
                scopes: configuration.access.policy.grants.compactMap(\.scope))
            federation = try await FederationRegistrar(
                trustDomain: configuration.trustDomain,
                store: GuardedFederationStore(store, entries: guardedEntries), feed: feed)
            entries = try await EntryRegistrar(
                trustDomain: configuration.trustDomain, defaults: configuration.assurance, store: guardedEntries,
                feed: feed, maximumEntries: configuration.access.maximumEntries,
                lifetimes: { [authorities] now in
                    EntryLifetimes(
                        svids: configuration.svids, authorities: configuration.authorities,
                        signing: authorities.snapshot.x509.record, now: now)
                },
                holdsBundle: { [federation] in federation.holdsBundle(of: $0) })
            svids = SVIDIssuer(
                trustDomain: configuration.trustDomain, settings: configuration.svids, authorities: authorities)
            agents = try await AgentRegistrar(
                issuer: svids, store: store,
                mark: SecurityMarkFile(path: configuration.securityMarkPath, files: files), logger: logger)
            serverSVID = try ServerSVID(issuer: svids, now: clock.now, using: SystemEntropy())
            let spool = try FileIssuanceSpool(
                folder: configuration.spoolFolder, after: try await store.lastSegment(of: "\(server)"), files: files,
                logger: logger)
            admission = try Admission(
                configuration.access, store: store,
                book: IssuanceBook(spool: spool, records: store, server: "\(server)"), entries: guardedEntries,
                agents: agents,
                isOfThisTier: { [authorities] in authorities.snapshot.isOfThisTier($0) }, clock: clock, files: files,
                logger: logger)
        } catch {
            throw StartFailure.describe(error, configuration: configuration)
        }
        bundleFollower = BundleFollower(
            federation: federation, ownBundle: { [authorities] in authorities.snapshot.bundle },
            fetcher: AsyncHTTPFetcher(), clock: clock, logger: logger)
        let surroundings = NodeAttestorSurroundings(
            trustDomain: configuration.trustDomain, bundle: { [authorities] in authorities.snapshot.bundle.x509 },
            fetcher: configuration.fetcher)
        attestors = NodeAttestors(
            [NodeKeyAttestor { [agents] id in agents.nodeKey(of: id) }]
                + configuration.nodeAttestors.map { $0.make(surroundings) })
        legacyAgents = LegacyAgents(configuration.legacyAgents, logger: logger)
        for advice in LifetimeAdvice.all(about: configuration.svids, under: configuration.authorities) {
            logger.warning("lifetimes do not fit", metadata: ["warning": "\(advice)"])
        }
        entriesFolder = configuration.entriesFolder.map { [entries] path in
            WatchedFolder(
                path, declarer: Declarer(entries: entries, clock: clock, logger: logger),
                parent: configuration.standInParent, files: files, logger: logger)
        }
        if configuration.assurance.program < .boundImage {
            logger.warning(
                "default_min_assurance is below 2",
                metadata: ["warning": "an entry without --min-assurance \(EntryWarning.attacks)"])
        }
        let (socket, access) = (configuration.adminSocket, configuration.access)
        let endpoint = ListeningEndpoint.unix(socket, mode: access.socketMode, group: access.socketGroup)
        local = LocalTransport(
            path: socket.staging,
            publish: { try socket.publish(mode: access.socketMode, group: access.socketGroup) },
            limits: .issuer, explain: { endpoint.failure(for: $0) }
        ) { channel in
            PeerCredentialsReader.read(from: channel).map { LocalCaller(credentials: $0) }
        }
        if let listener = configuration.listener {
            let tls = TLSCore { [serverSVID] in
                serverSVID.material
            } verify: { [authorities, clock] presented throws(PeerRefusal) in
                do throws(SPIFFEError) {
                    return try X509SVIDVerification.verify(presented, at: clock.now) {
                        $0 == authorities.snapshot.bundle.trustDomain ? authorities.snapshot.bundle.x509 : nil
                    }
                } catch { throw PeerRefusal(error) }
            }
            // Everyone is asked for a certificate, nobody must have one, and one that comes is good or ends the connection.
            var limits = PeerLimits.issuerNetwork
            limits.connections = configuration.access.maximumConnections
            limits.connectionsOfOne = configuration.access.maximumConnectionsOfOne
            tcp = ConnectionAwareTransport(
                endpoint: listener, limits: limits, security: .configured(requireALPN: true)
            ) { channel in
                channel.eventLoop.makeCompletedFuture {
                    TLSCaller(
                        peer: try tls.secureServer(
                            channel.pipeline.syncOperations, applicationProtocols: ["h2"],
                            clientCertificate: .optional))
                }
            }
        } else {
            tcp = nil
        }
    }

    /// Where agents connect, once ``services(embedded:)`` run; nil when nobody can.
    package var listeningAddress: String? {
        get async {
            guard let address = await tcp?.listeningAddress else { return nil }
            if let ipv4 = address.ipv4 { return "\(ipv4.host):\(ipv4.port)" }
            if let ipv6 = address.ipv6 { return "[\(ipv6.host)]:\(ipv6.port)" }
            return nil
        }
    }

    /// The trust domain's bundle now.
    package var bundle: TrustBundle { authorities.snapshot.bundle }

    /// Waits until admins can connect.
    package func waitUntilListening() async -> Bool { await local.waitUntilListening() }

    /// What has to run for this issuer to work.
    ///
    /// - Parameters:
    ///   - embedded: The transport and the standing of the agent half, when it shares this process.
    ///   - more: What is served beside the issuer's own API, and judged by the same table.
    /// - Returns: One server for each way in, and the loop that tends authorities and store; none has started.
    package func services(
        embedded: (transport: InProcessTransport.Server, peer: EmbeddedPeer)? = nil,
        more: [any RegistrableRPCService] = []
    ) -> [any Service] {
        let api = api + more
        var services: [any Service] = [
            GRPCService(
                GRPCServer(
                    transport: IdentifyingTransport(local) { ($0 as? LocalCaller).map { .local($0.credentials) } },
                    services: api, interceptors: admission.interceptors)),
            LoopService {
                do { try await tend() } catch {
                    await admission.end()
                    throw error
                }
            },
            LoopService { [admission] in try await admission.keepRecords() },
            LoopService { [bundleFollower] in try await bundleFollower.run() },
            LoopService {
                await authorities.followUpstream(clock: clock, using: SystemEntropy(), logger: logger)
                // Without an upstream, or after its last word, there is nothing more to do until the end.
                try await clock.sleep(until: .distantFuture)
            },
        ]
        if let entriesFolder { services.append(LoopService { try await entriesFolder.run() }) }
        if let metrics = configuration.metrics {
            services.append(
                MetricsListener(host: metrics.host, port: metrics.port, logger: logger, text: metricsText))
        }
        if let tcp {
            services.append(
                GRPCService(
                    GRPCServer(
                        transport: IdentifyingTransport(tcp) { ($0 as? TLSCaller).map { .remote($0.peer) } },
                        services: api, interceptors: admission.interceptors)))
        }
        if let embedded {
            services.append(
                GRPCService(
                    GRPCServer(
                        transport: IdentifyingTransport(embedded.transport) { _ in .embedded(embedded.peer) },
                        services: api, interceptors: admission.interceptors)))
        }
        return services
    }

    /// What it measures of itself, in the text format of Prometheus.
    package var metricsText: @Sendable () -> String {
        let measured = ServerMetrics(
            counters: admission.counters, budgets: admission.budgets, authorities: authorities, entries: entries,
            agents: agents, storeErrors: { [store] in store.errors }, clock: clock)
        return { measured.text }
    }

    /// Closes what was opened.
    package func close() {
        configuration.adminSocket.remove()
        do { try store.close() } catch { logger.error("store not closed cleanly", metadata: ["error": "\(error)"]) }
    }

    private var api: [any RegistrableRPCService] {
        let access = AccessControl(agents: agents, clock: clock)
        let issuance = AgentIssuance(
            issuer: svids, entries: entries, powers: guardedEntries, clock: clock, logger: logger)
        return [
            AgentService(
                access: access, agents: agents,
                desk: NodeAdmissionDesk(
                    agents: agents, attestors: attestors, trustDomain: configuration.trustDomain, clock: clock,
                    patience: configuration.attestationPatience),
                entries: entries, powers: guardedEntries, aliases: aliases, feed: feed, clock: clock, logger: logger),
            NodesService(access: access, agents: agents, logger: logger),
            EntryService(
                access: access, entries: entries, legacyAgents: legacyAgents, clock: clock, logger: logger),
            RegistrationService(access: access, entries: entries, clock: clock, logger: logger),
            AuthorizedEntriesService(access: access, entries: entries, legacyAgents: legacyAgents, clock: clock),
            DeclarationService(access: access, entries: entries, agents: agents, clock: clock, logger: logger),
            DigestSetService(access: access, entries: entries, clock: clock, logger: logger),
            TemplatedSVIDService(access: access, issuance: issuance),
            SVIDService(
                access: access, issuer: svids, issuance: issuance, powers: guardedEntries,
                downstream: DownstreamAuthorities(
                    access: access, authorities: authorities, entries: entries,
                    trustDomain: configuration.trustDomain, defaultLifetime: configuration.authorities.lifetime,
                    clock: clock, logger: logger), clock: clock, logger: logger),
            BundleService(
                access: access, authorities: authorities, federation: federation, entries: entries, clock: clock,
                logger: logger),
            TrustDomainService(access: access, federation: federation, follower: bundleFollower, logger: logger),
            FederationStatusService(access: access, follower: bundleFollower),
            LocalAuthorityService(access: access, authorities: authorities, clock: clock, logger: logger),
            PropagationService(access: access, entries: entries, agents: agents, feed: feed, clock: clock),
            IncidentService(access: access, recorded: recordedIncidents, logger: logger),
            DebugService(
                access: access, agents: agents, entries: entries, federation: federation, serverSVID: serverSVID,
                startedAt: admission.startedAt, clock: clock),
            HealthService(parts: healthParts) {
                let (snapshot, now) = (authorities.snapshot, clock.now)
                return snapshot.x509.validity.contains(now) && snapshot.jwt.record.notAfter > now
                    && agents.rollback == nil
            },
        ] + admission.services(access)
    }

    private var aliases: TokenAliases { TokenAliases(entries: entries, store: store, logger: logger) }

    /// What can fail while the rest goes on.
    private var healthParts: [String: @Sendable () async -> Bool] {
        var parts: [String: @Sendable () async -> Bool] = [
            "authorities": { [authorities, clock] in
                AuthorityRecord.Kind.allCases.allSatisfy {
                    !authorities.snapshot.standing($0).isSuccessorOverdue(now: clock.now)
                }
            }
        ]
        if let entriesFolder { parts["entries-folder"] = { entriesFolder.isSound } }
        return parts
    }

    /// Keeps authorities, the server's own SVID and the store in order until cancelled.
    private func tend() async throws {
        var lastLook = clock.now
        let (upkeep, stopwatch) = (Upkeep(logger: logger), ContinuousClock())
        let start = stopwatch.now
        var watch = ClockWatch(
            calendar: clock.now, time: .zero, patience: min(.seconds(600), configuration.authorities.lifetime))
        while true {
            let mayForget = watch.isSettled(calendar: clock.now, time: start.duration(to: stopwatch.now))
            var looked = lastLook
            try await upkeep.round([
                .init("authorities") {
                    try await authorities.tend(now: clock.now, mayForget: mayForget, using: SystemEntropy())
                },
                .init("server svid") {
                    try serverSVID.renewIfDue(
                        issuer: svids, spoiled: authorities.snapshot.spoiled, now: clock.now, using: SystemEntropy())
                },
                .init("security mark") { try await agents.raiseMark() },
                .init("join tokens") { try await agents.pruneTokens(now: clock.now) },
                .init("abandoned aliases") { try await aliases.dropAbandoned(now: clock.now) },
                .init("last contacts") { try await agents.keepContacts(now: clock.now) },
                .init("expired entries") { try await pruneEntries() },
                .init("admission") { try await admission.tend() },
                .init("beginning entries") { looked = try await beginEntries(after: lastLook) },
            ])
            lastLook = looked
            try await clock.sleep(for: tendingInterval)
        }
    }

    /// Often enough that a short-lived authority is never late.
    private var tendingInterval: Duration {
        let shortest = min(configuration.authorities.lifetime / 24, configuration.svids.agentTTL / 8)
        return max(.milliseconds(100), min(.seconds(10), shortest))
    }

    /// Tells agents of entries whose time has come.
    private func beginEntries(after last: Date) async throws -> Date {
        let now = clock.now
        let count = try await entries.announceBeginnings(after: last, until: now)
        if count > 0 { logger.info("entries have begun", metadata: ["count": "\(count)"]) }
        return now
    }

    private func pruneEntries() async throws {
        let now = clock.now
        let expired = entries.read { index in
            index.entries.filter { $0.contents.expiresAt.map { $0 <= now } ?? false }.map(\.id)
        }
        guard !expired.isEmpty else { return }
        _ = try await entries.delete(expired)
        logger.info("expired entries deleted", metadata: ["count": "\(expired.count)"])
    }
}

/// What the admin socket knows of a connection.
struct LocalCaller: ServerContext.TransportSpecific {
    let credentials: PeerCredentials
}

/// What the agents' port knows of a connection.
struct TLSCaller: ServerContext.TransportSpecific {
    let peer: TLSPeer
}
