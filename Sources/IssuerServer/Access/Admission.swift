internal import Foundation
internal import GRPCCore
internal import IssuerDomain
internal import Logging
internal import OutboundHTTP
internal import Platform
internal import SPIFFE

/// The gate that all calls pass, and the services that tell of it.
struct Admission: Sendable {
    /// Records dropped at once, so that nobody waits long for the store.
    private static let dropBatch = 5000

    let gate: AccessGate
    let startedAt: Date
    private let settings: AccessSettings
    private let schema: ServedSchema
    private let desk: ApprovalDesk
    private let store: any IssuanceRecords
    private let clock: any WallClock
    private let logger: Logger

    init(
        _ settings: AccessSettings, store: any IssuanceRecords & ApprovalStore, entries: GuardedEntryStore,
        agents: AgentRegistrar, isOfThisTier: @escaping @Sendable (VerifiedX509SVID) -> Bool, clock: any WallClock,
        files: any FileSystem, logger: Logger
    ) throws {
        (self.settings, self.store, self.clock, self.logger) = (settings, store, clock, logger)
        startedAt = clock.now
        schema = try ServedSchema()
        desk = ApprovalDesk(store: store, lifetime: settings.approvalLifetime ?? .seconds(3600))
        let tokens =
            settings.tokenIssuers.isEmpty
            ? nil : TokenVerifier(settings.tokenIssuers, files: files, fetcher: AsyncHTTPFetcher())
        gate = AccessGate(
            resolution: CallerResolution(
                policy: settings.policy, agents: agents, entries: entries, tokens: tokens,
                isOfThisTier: isOfThisTier, clock: clock),
            budgets: CallBudgets(settings.limits), desk: settings.approvalLifetime == nil ? nil : desk,
            journal: IssuanceJournal(store), clock: clock, logger: logger)
    }

    /// What the server serves beside its own business.
    func services(_ access: AccessControl) -> [any RegistrableRPCService] {
        [
            AuditService(access: access, records: store),
            ApprovalService(access: access, desk: desk, policy: settings.policy, clock: clock, logger: logger),
            LimitsService(access: access, budgets: gate.budgets),
            LoggerService(access: access, threshold: settings.logThreshold, logger: logger),
            ReflectionV1(access: access, schema: schema), ReflectionV1alpha(access: access, schema: schema),
        ]
    }

    /// Drops what is older than it has to be.
    func tend() async throws {
        try await desk.tend(now: clock.now)
        let dropped = try await store.dropIssuances(
            before: clock.now - settings.auditRetention.timeInterval, limit: Self.dropBatch)
        guard dropped > 0 else { return }
        logger.info("old issuance records dropped", metadata: ["count": "\(dropped)"])
    }
}
