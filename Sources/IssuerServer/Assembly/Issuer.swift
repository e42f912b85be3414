package import Bootstrap
internal import Foundation
internal import GRPCConnections
internal import GRPCCore
package import GRPCInProcessTransport
internal import GRPCNIOTransportHTTP2Posix
internal import IssuerDomain
internal import KeyStore
internal import LinuxKernel
package import Logging
internal import NIOCore
internal import OutboundHTTP
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
    private let authorities: AuthorityKeeper
    private let federation: FederationRegistrar
    private let bundleFollower: BundleFollower
    private let entries: EntryRegistrar
    private let agents: AgentRegistrar
    private let svids: SVIDIssuer
    private let legacyAgents: LegacyAgents
    private let feed: RevisionFeed
    private let recordedIncidents = RecordedIncidents()
    private let serverSVID: ServerSVID
    private let tcp: ConnectionAwareTransport<TLSCaller>?
    private let local: ConnectionAwareTransport<LocalCaller>

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
        self.configuration = configuration
        self.clock = clock
        self.logger = logger
        try configuration.adminSocket.refuseIfTaken()
        feed = RevisionFeed()
        do {
            store = try SQLiteStore(path: configuration.databasePath, trustDomain: configuration.trustDomain)
            let keys = try DiskKeyStore(folder: configuration.keyFolder, files: files)
            authorities = try await AuthorityKeeper(
                trustDomain: configuration.trustDomain, settings: configuration.authorities, store: store, keys: keys,
                feed: feed, now: clock.now, using: SystemEntropy(), logger: logger)
            federation = try await FederationRegistrar(
                trustDomain: configuration.trustDomain, store: store, feed: feed)
            entries = try await EntryRegistrar(
                trustDomain: configuration.trustDomain, defaults: configuration.assurance, store: store, feed: feed,
                holdsBundle: { [federation] in federation.holdsBundle(of: $0) })
            svids = SVIDIssuer(
                trustDomain: configuration.trustDomain, settings: configuration.svids, authorities: authorities)
            agents = try await AgentRegistrar(issuer: svids, store: store)
            serverSVID = try ServerSVID(issuer: svids, now: clock.now, using: SystemEntropy())
        } catch {
            throw StartFailure.describe(error, configuration: configuration)
        }
        bundleFollower = BundleFollower(
            federation: federation, ownBundle: { [authorities] in authorities.snapshot.bundle },
            fetcher: AsyncHTTPFetcher(), clock: clock, logger: logger)
        legacyAgents = LegacyAgents(configuration.legacyAgents, logger: logger)
        if configuration.assurance.program < .boundImage {
            logger.warning(
                "default_min_assurance is below 2",
                metadata: ["warning": "an entry without --min-assurance \(EntryWarning.attacks)"])
        }
        local = ConnectionAwareTransport(
            endpoint: .unix(configuration.adminSocket, mode: 0o600), limits: .issuer, security: .none
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
            tcp = ConnectionAwareTransport(
                endpoint: listener, limits: .issuer, security: .configured(requireALPN: true)
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
    package func waitUntilListening() async -> Bool { await local.listeningAddress != nil }

    /// What has to run for this issuer to work.
    ///
    /// - Parameter embedded: The transport and the standing of the agent half, when it shares this process.
    /// - Returns: One server for each way in, and the loop that tends authorities and store; none has started.
    package func services(
        embedded: (transport: InProcessTransport.Server, peer: EmbeddedPeer)? = nil
    ) -> [any Service] {
        let api = api
        var services: [any Service] = [
            GRPCService(
                GRPCServer(
                    transport: IdentifyingTransport(local) { ($0 as? LocalCaller).map { .local($0.credentials) } },
                    services: api)),
            LoopService { try await tend() },
            LoopService { [bundleFollower] in try await bundleFollower.run() },
        ]
        if let tcp {
            services.append(
                GRPCService(
                    GRPCServer(
                        transport: IdentifyingTransport(tcp) { ($0 as? TLSCaller).map { .remote($0.peer) } },
                        services: api)))
        }
        if let embedded {
            services.append(
                GRPCService(
                    GRPCServer(
                        transport: IdentifyingTransport(embedded.transport) { _ in .embedded(embedded.peer) },
                        services: api)))
        }
        return services
    }

    /// Closes what was opened.
    package func close() {
        configuration.adminSocket.remove()
        do { try store.close() } catch { logger.error("store not closed cleanly", metadata: ["error": "\(error)"]) }
    }

    private var api: [any RegistrableRPCService] {
        let access = AccessControl(agents: agents, clock: clock)
        return [
            AgentService(
                access: access, agents: agents, entries: entries, feed: feed, clock: clock, logger: logger),
            EntryService(
                access: access, entries: entries, legacyAgents: legacyAgents, clock: clock, logger: logger),
            RegistrationService(access: access, entries: entries, clock: clock, logger: logger),
            AuthorizedEntriesService(access: access, entries: entries, clock: clock),
            SVIDService(access: access, issuer: svids, entries: entries, clock: clock, logger: logger),
            BundleService(
                access: access, authorities: authorities, federation: federation, entries: entries, logger: logger),
            TrustDomainService(access: access, federation: federation, follower: bundleFollower, logger: logger),
            FederationStatusService(access: access, follower: bundleFollower),
            PropagationService(access: access, entries: entries, agents: agents, feed: feed, clock: clock),
            IncidentService(access: access, recorded: recordedIncidents, logger: logger),
            HealthService { authorities.snapshot.x509.record.notAfter > clock.now },
        ]
    }

    /// Keeps authorities, the server's own SVID and the store in order until cancelled.
    private func tend() async throws {
        while true {
            do {
                try await authorities.tend(now: clock.now, using: SystemEntropy())
                try serverSVID.renewIfDue(issuer: svids, now: clock.now, using: SystemEntropy())
                try await agents.pruneTokens(now: clock.now)
                try await pruneEntries()
            } catch let error as CancellationError {
                throw error
            } catch {
                try Task.checkCancellation()
                logger.error("upkeep failed and will be tried again", metadata: ["error": "\(error)"])
            }
            try await clock.sleep(for: tendingInterval)
        }
    }

    /// Often enough that a short-lived authority is never late.
    private var tendingInterval: Duration {
        let shortest = min(configuration.authorities.lifetime / 24, configuration.svids.agentTTL / 8)
        return max(.milliseconds(100), min(.seconds(10), shortest))
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
