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

    /// What all calls pass, in order.
    let interceptors: [any ServerInterceptor]
    let budgets: CallBudgets
    let counters = ServerCounters()
    let startedAt: Date
    private let settings: AccessSettings
    private let schema: ServedSchema
    private let desk: ApprovalDesk
    private let store: any IssuanceRecords
    private let book: IssuanceBook
    private let clock: any WallClock
    private let logger: Logger

    init(
        _ settings: AccessSettings, store: any IssuanceRecords & ApprovalStore, book: IssuanceBook,
        entries: GuardedEntryStore,
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
        self.book = book
        budgets = CallBudgets(settings.limits)
        let gate = AccessGate(
            resolution: CallerResolution(
                policy: settings.policy, agents: agents, entries: entries, tokens: tokens,
                isOfThisTier: isOfThisTier, clock: clock),
            budgets: budgets, desk: settings.approvalLifetime == nil ? nil : desk, book: book, counters: counters,
            clock: clock, logger: logger)
        interceptors = [CallCounter(table: gate.table, counters: counters), gate]
    }

    /// What the server serves beside its own business.
    func services(_ access: AccessControl) -> [any RegistrableRPCService] {
        [
            AuditService(access: access, records: store, book: book),
            ApprovalService(access: access, desk: desk, policy: settings.policy, clock: clock, logger: logger),
            LimitsService(access: access, budgets: budgets),
            LoggerService(access: access, threshold: settings.logThreshold, logger: logger),
            ReflectionV1(access: access, schema: schema), ReflectionV1alpha(access: access, schema: schema),
        ]
    }

    /// Writes down what was counted, and drops what is older than it has to be.
    func tend() async throws {
        try await desk.tend(now: clock.now)
        try book.settle(now: clock.now)
        let end = clock.now - settings.auditRetention.timeInterval
        var total = 0
        while true {
            let dropped = try await store.dropIssuances(before: end, limit: Self.dropBatch)
            total += dropped
            // As fast as they come in, whatever that is.
            guard dropped == Self.dropBatch else { break }
            try Task.checkCancellation()
        }
        guard total > 0 else { return }
        logger.info("old issuance records dropped", metadata: ["count": "\(total)"])
    }

    /// Hands records over to the store as they come, until cancelled.
    func keepRecords() async throws { try await book.follow(clock: clock, logger: logger) }

    /// Writes down what was counted so far: nobody calls any more.
    func end() async {
        do throws(StoreError) {
            try book.settle(now: clock.now, isEnding: true)
            try await book.deliver()
        } catch {
            logger.error("issuance records wait for the next start", metadata: ["error": "\(error)"])
        }
    }
}
