internal import GRPCWire
internal import LinuxKernel
internal import HealthProtos
internal import AgentDomain
internal import Foundation
internal import Logging
internal import Platform
internal import SPIFFE
internal import Synchronization
internal import WorkloadAttestation
internal import WorkloadSocket

/// What the agent answers on its sockets.
///
/// Every call, and every message pushed on one, has a round that began after it: the process is examined while it answers
/// the socket's challenge, and what was found is judged, matched and served only if the process is still the same
/// afterwards. Nothing that is found is used for more than the messages of that round.
final class WorkloadHandler: CallHandler {
    /// How often files are hashed for one call; they may change meanwhile.
    private static let hashingLimit = 4
    /// How long a stream whose user has used up their share of hashing is left alone.
    private static let overloadPause = Duration.seconds(10)

    /// What calls are answered from.
    struct Parts: Sendable {
        let sources: EvidenceSources
        let hashing: HashingBudget
        let state: AgentState
        let supply: SVIDSupply
        let questions: AttestationQuestions
        /// Waits until the program of a process has been measured, or cannot be.
        let settle: @Sendable (ProcessInstance, Int32) async -> Void
        let incidents: IncidentQueue
        let clock: any WallClock
        let logger: Logger
    }

    private let parts: Parts
    /// Whether this is the admin socket, which serves no identities.
    private let isAdmin: Bool
    private let shelf = ResponseShelf()
    private let needs = Mutex<(revision: UInt64, needs: EvidenceNeeds)?>(nil)

    init(_ parts: Parts, isAdmin: Bool = false) { (self.parts, self.isAdmin) = (parts, isAdmin) }

    // MARK: Connections

    func accepted(_ connection: WorkloadConnection) {
        guard !isAdmin else { return }
        let peer = connection.peer
        let session = Result { () throws(AttestationError) in
            try EvidenceSession(of: peer.handle, credentials: peer.credentials, using: parts.sources)
        }
        let record = ConnectionRecord(session)
        connection.context = record
        if case .success(let session) = session { parts.state.noteConnection(of: "\(session.instance)") }
        guard let history = parts.sources.history, case .success(let session) = session else { return }
        let watch = history.watch(session.instance, pid: peer.handle.pid) { [weak self, weak connection, weak record] in
            guard let self, let connection, let record else { return }
            self.note($0, of: connection, record)
        }
        record.keep(watch)
    }

    func closed(_ connection: WorkloadConnection) {
        guard let record = connection.context as? ConnectionRecord else { return }
        record.close()
        if case .success(let session) = record.session { parts.state.noteDisconnection(of: "\(session.instance)") }
    }

    /// Acts on what the journal saw of a connected process.
    private func note(_ change: ProcessChange, of connection: WorkloadConnection, _ record: ConnectionRecord) {
        switch change {
        // The image, or the principal, that the connection was bound to is gone.
        case .executed, .idsChanged: connection.close(reason: "process \(change.rawValue)")
        case .exited: connection.closeAfterExit()
        // What the rest comes to, the judge says.
        case .traced, .scriptWritten, .eventsLost: connection.poke()
        }
        switch change {
        // That it ended is no incident, and that the journal lost events says nothing of this process: what is not known
        // of it any more, the judge says.
        case .exited, .eventsLost: return
        case .executed, .idsChanged, .traced, .scriptWritten:
            report(change.rawValue, detail: "", of: connection, record)
        }
    }

    private func report(
        _ kind: String, detail: String, isConsequence: Bool = false, of connection: WorkloadConnection,
        _ record: ConnectionRecord
    ) {
        guard let entryIDs = record.takeForReport(kind, isConsequence: isConsequence),
            case .success(let session) = record.session
        else { return }
        let peer = connection.peer.credentials
        parts.logger.notice(
            "workload changed while it held an identity",
            metadata: [
                "workload.pid": "\(peer.pid)", "workload.uid": "\(peer.uid)", "incident.kind": "\(kind)",
                "incident.detail": "\(detail)", "workload.instance": "\(session.instance)",
            ])
        parts.incidents.report(
            Incident(
                at: parts.clock.now, kind: kind, detail: detail, instance: "\(session.instance)", pid: peer.pid,
                uid: peer.uid, entryIDs: entryIDs))
    }

    // MARK: Rounds

    func gather(_ calls: [WorkloadCall]) {
        // All are of one process and began before this, so one look at it serves them.
        var evidence: Evidence?
        for call in calls {
            let record = call.context as? CallRecord ?? CallRecord(question(of: call))
            call.context = record
            guard case .workload = record.question else { continue }
            let round: CallRecord.Round
            if record.withState({ $0.isBusy }) {
                round = .waiting
            } else if let evidence {
                round = .evidence(evidence)
            } else {
                round = self.round(of: call, record)
                if case .evidence(let found) = round { evidence = found }
            }
            record.withState { state in
                state.round = round
                if case .evidence = round { state.fresh = FreshDigests() }
            }
        }
    }

    func answer(_ call: WorkloadCall) {
        guard let record = call.context as? CallRecord else { return }
        switch record.question {
        case .refused(let status): call.finish(status)
        case .health(let question): answer(question, call, record)
        case .attestation(let method): answer(method, call, record)
        case .workload(let request):
            switch record.withState({ $0.round }) {
            case .open, .waiting: return
            case .refused(let status): call.finish(status)
            case .evidence(let evidence): answer(request, call, record, evidence)
            }
        }
    }

    /// Reads a call, before anything is done for it.
    private func question(of call: WorkloadCall) -> Question {
        guard ServedMethod.all.indices.contains(call.method) else {
            return .refused(CallStatus(.unimplemented, "unknown method"))
        }
        let method = ServedMethod.all[call.method]
        if method.needsSecurityHeader {
            let values = call.metadata(0)
            guard values.count == 1, values[0].elementsEqual("true".utf8) else {
                return .refused(CallStatus(.invalidArgument, "security header missing from request"))
            }
        }
        do throws(CallStatus) {
            switch method {
            case .workload(let method):
                guard !isAdmin else { throw CallStatus(.unimplemented, "this socket serves no identities") }
                return .workload(try WorkloadRequest(method, bytes: call.message))
            case .attestation(let method): return .attestation(method)
            case .healthCheck: return .health(.check(service: try HealthMessages.service(call.message)))
            case .healthWatch: return .health(.watch(service: try HealthMessages.service(call.message)))
            }
        } catch { return .refused(error) }
    }

    private func round(of call: WorkloadCall, _ record: CallRecord) -> CallRecord.Round {
        guard let connection = call.connection.context as? ConnectionRecord else {
            return .refused(CallRefusal.notAttested.status())
        }
        let view = parts.state.view
        guard view.bundle != nil else { return .refused(CallRefusal.notReady.status()) }
        do {
            let session = try connection.session.get()
            let fresh = record.withState { state in
                defer { state.fresh = FreshDigests() }
                return state.fresh
            }
            // Used only once the challenge is met, so the connector is live by then.
            let outcome = try session.gather(
                needs(of: view),
                connection: ConnectionFacts(isPinned: call.connection.isPinnedByKernel, isLive: true), fresh: fresh)
            switch outcome {
            case .complete(let evidence): return .evidence(evidence)
            case .needsHashing(let requests): return hash(requests, for: call, record)
            }
        } catch {
            let peer = call.connection.peer.credentials
            parts.logger.log(
                level: call.connection.mayLog() ? .warning : .debug, "workload attestation failed",
                metadata: [
                    "workload.pid": "\(peer.pid)", "workload.uid": "\(peer.uid)", "error": "\(error)",
                ])
            let refusal: CallRefusal =
                switch error {
                case .gone: .processChanged
                case .unreadable: .notAttested
                }
            return .refused(refusal.status())
        }
    }

    /// Has files hashed elsewhere, and the call go on with another round.
    private func hash(
        _ requests: [HashRequest], for call: WorkloadCall, _ record: CallRecord
    ) -> CallRecord.Round {
        let count = record.withState { state in
            state.hashings += 1
            return state.hashings
        }
        guard count <= Self.hashingLimit else {
            return .refused(CallRefusal.processChanged.status("the files of the process keep changing"))
        }
        let uid = call.connection.peer.credentials.uid
        record.doElsewhere(for: call) { [hashing = parts.hashing, logger = parts.logger] in
            do throws(Overload) {
                let fresh = try await hashing.digests(of: requests, for: uid)
                record.withState { $0.fresh = fresh }
            } catch {
                let level: Logger.Level = call.connection.mayLog() ? .warning : .debug
                logger.log(
                    level: level, "hashing refused: too much for one user", metadata: ["workload.uid": "\(uid)"])
                // Nothing speaks against a stream that has been served; it is looked at again later.
                guard record.withState({ $0.lastMessage != nil }) else {
                    return _ = call.finish(CallRefusal.overBudget.status())
                }
                record.withState { $0.hashings = 0 }
                try? await Task.sleep(for: Self.overloadPause)
            }
        }
        return .waiting
    }

    /// Which facts the entries hang on, found once for each set of them.
    private func needs(of view: AgentState.View) -> EvidenceNeeds {
        if let known = needs.withLock({ $0 }), known.revision == view.entriesRevision { return known.needs }
        let entries = view.entries.values
        let found = EvidenceNeeds(
            selectors: entries.lazy.flatMap(\.decidingSelectors),
            minimum: entries.map(\.minimumAssurance).max() ?? .account)
        needs.withLock { $0 = (view.entriesRevision, found) }
        return found
    }

    // MARK: Answers

    private func answer(
        _ request: WorkloadRequest, _ call: WorkloadCall, _ record: CallRecord, _ evidence: Evidence
    ) {
        guard let connection = call.connection.context as? ConnectionRecord,
            case .success(let session) = connection.session
        else { return _ = call.finish(CallRefusal.notAttested.status()) }
        guard session.stillHolds(evidence) else {
            return _ = call.finish(CallRefusal.processChanged.status())
        }
        let judgement = session.judge(evidence)
        do throws(CallStatus) {
            let view = parts.state.view
            let attestation = judgement.attestation
            let reply: Reply
            if case .validateJWTSVID(let token, let audience) = request {
                if !view.federated.isEmpty, waitsForMeasurement(evidence, view, call, record) { return }
                // No identity is needed to have a token judged; whose tokens are believed beside the own, entries say.
                let entries = HintRule.resolve(view.matcher.matches(attestation, now: parts.clock.now))
                reply = .last(
                    try WorkloadMessages.verdict(
                        on: token, audience: audience, bundle: try bundle(view),
                        federated: view.federated(with: entries),
                        now: parts.clock.now))
            } else {
                if waitsForMeasurement(evidence, view, call, record) { return }
                let entries = try entries(for: attestation, view, call, judgement)
                reply = try self.reply(to: request, entries, view, call, record)
                if reply.handsOut { connection.served(request.choice(among: entries)) }
            }
            deliver(reply, attestation, call, record)
        } catch {
            if hasLostStanding(judgement.attestation, record) {
                report(
                    "assurance-lost", detail: Self.summary(judgement), isConsequence: true, of: call.connection,
                    connection)
            }
            call.finish(error)
        }
    }

    /// Whether a process no longer gets what it would still get as what it was; that an entry is gone is no incident.
    private func hasLostStanding(_ attestation: Attestation, _ record: CallRecord) -> Bool {
        guard let before = record.withState({ $0.lastAttestation }) else { return false }
        let (matcher, now) = (parts.state.view.matcher, parts.clock.now)
        return matcher.matches(attestation, now: now).isEmpty && !matcher.matches(before, now: now).isEmpty
    }

    /// Has a call wait, once, when a program that has just been started is still being measured and that decides.
    private func waitsForMeasurement(
        _ evidence: Evidence, _ view: AgentState.View, _ call: WorkloadCall, _ record: CallRecord
    ) -> Bool {
        guard evidence.record.value?.image.value?.program.digest == .unmeasured(.beingMeasured) else { return false }
        // Only where some entry goes by what was measured.
        guard needs(of: view).contains(.libraries) else { return false }
        let isFirst = record.withState { state in
            defer { state.hasWaitedForMeasurement = true }
            return !state.hasWaitedForMeasurement
        }
        guard isFirst else { return false }
        let (instance, pid) = (evidence.instance, evidence.pid)
        record.doElsewhere(for: call) { [settle = parts.settle] in await settle(instance, pid) }
        return true
    }

    private func deliver(_ reply: Reply, _ attestation: Attestation, _ call: WorkloadCall, _ record: CallRecord) {
        switch reply {
        case .waiting: return
        case .last(let message): call.finish(with: message)
        case .current(let message):
            let isNew = record.withState { state in
                defer { (state.lastMessage, state.lastAttestation) = (message, attestation) }
                // The next message may need hashing and the issuer again, and has evidence of its own.
                (state.hashings, state.round, state.tokens) = (0, .open, [:])
                return state.lastMessage != message
            }
            if isNew { call.send(message) }
        }
    }

    /// What becomes of a call.
    private enum Reply {
        /// The answer, and the end.
        case last([UInt8])
        /// What a stream says until it says something else.
        case current([UInt8])
        case waiting

        var handsOut: Bool {
            switch self {
            case .last, .current: true
            case .waiting: false
            }
        }
    }

    private func reply(
        to request: WorkloadRequest, _ entries: [AuthorizedEntry], _ view: AgentState.View, _ call: WorkloadCall,
        _ record: CallRecord
    ) throws(CallStatus) -> Reply {
        let bundle = try bundle(view)
        switch request {
        case .x509SVID:
            let held = parts.supply.held(entries, in: view)
            if held.count < entries.count, askIssuer(for: entries, view, call, record) { return .waiting }
            guard !held.isEmpty else {
                throw CallRefusal.notReady.status("SVIDs are not available yet; retry later")
            }
            let label = ResponseShelf.Label.x509SVIDs(held.map { "\($0.entry.slot)" })
            return .current(
                try shelf.message(label, revision: view.revision) { () throws(CallStatus) in
                    try WorkloadMessages.x509SVIDs(
                        held, bundle: bundle, federated: view.federated(with: held.map(\.entry)))
                })
        case .x509Bundles: return .current(try x509Bundles(for: entries, bundle, view))
        case .jwtBundles: return .current(try jwtBundles(for: entries, bundle, view))
        case .jwtSVID(let audience, _):
            let entries = request.choice(among: entries)
            guard !entries.isEmpty else { throw CallRefusal.noEntry.status() }
            // Of several identities, those that may not speak to this audience stay silent.
            let admitting = entries.filter { $0.conditions.admit(audience: audience) }
            guard !admitting.isEmpty else {
                throw CallStatus(.invalidArgument, "audience is not among those that the entry allows")
            }
            return try tokens(for: admitting, audience: audience, call, record)
        case .validateJWTSVID: throw CallStatus(.internal, "judged elsewhere")
        }
    }

    /// Tokens that are cached, or have been fetched for this very call; otherwise they are fetched, and another round
    /// follows.
    private func tokens(
        for entries: [AuthorizedEntry], audience: [String], _ call: WorkloadCall, _ record: CallRecord
    ) throws(CallStatus) -> Reply {
        let (fetched, failure) = record.withState { ($0.tokens, $0.issuerFailure) }
        if let failure { throw failure }
        var svids: [(entry: AuthorizedEntry, svid: HeldJWTSVID)] = []
        for entry in entries {
            guard let svid = fetched[entry.id] ?? parts.supply.cachedJWTSVID(for: entry, audience: audience) else {
                continue
            }
            svids.append((entry, svid))
        }
        guard svids.count < entries.count else { return .last(try WorkloadMessages.jwtSVIDs(svids)) }
        let missing = entries.filter { entry in !svids.contains { $0.entry.id == entry.id } }
        record.doElsewhere(for: call) { [supply = parts.supply] in
            do throws(CallStatus) {
                for entry in missing {
                    let svid = try await supply.jwtSVID(for: entry, audience: audience)
                    record.withState { $0.tokens[entry.id] = svid }
                }
            } catch {
                record.withState { $0.issuerFailure = error }
            }
        }
        return .waiting
    }

    /// Asks the issuer for what is not held, once for each view.
    ///
    /// - Returns: Whether another round follows.
    private func askIssuer(
        for entries: [AuthorizedEntry], _ view: AgentState.View, _ call: WorkloadCall, _ record: CallRecord
    ) -> Bool {
        let isNew = record.withState { state in
            guard state.askedIssuerFor != view.entriesRevision else { return false }
            state.askedIssuerFor = view.entriesRevision
            return true
        }
        guard isNew else { return false }
        record.doElsewhere(for: call) { [supply = parts.supply] in await supply.issueOnDemand(for: entries) }
        return true
    }

    /// The entries that match now; at least one.
    private func entries(
        for attestation: Attestation, _ view: AgentState.View, _ call: WorkloadCall, _ judgement: Judgement
    ) throws(CallStatus) -> [AuthorizedEntry] {
        let now = parts.clock.now
        let entries = HintRule.resolve(view.matcher.matches(attestation, now: now))
        guard entries.isEmpty else { return bound(entries, to: call) }
        // Would an entry match if the process had shown more?
        let isWanting =
            !view.matcher.matches(attestation.raisedToTop, now: now).isEmpty
            || view.matcher.asksForMore(than: attestation, now: now)
        let refusal = isWanting ? CallRefusal.assuranceTooLow : .noEntry
        let peer = call.connection.peer.credentials
        parts.logger.log(
            level: call.connection.mayLog() ? .info : .debug, "no identity issued",
            metadata: [
                "workload.pid": "\(peer.pid)", "workload.uid": "\(peer.uid)",
                "rpc.method": "\(ServedMethod.name(call.method))", "reason": "\(refusal.rawValue)",
                "level": "\(attestation.level)", "missing": "\(Self.summary(judgement))",
            ])
        throw refusal.status()
    }

    /// The entries as they are for the caller's process, where they keep processes apart.
    private func bound(_ entries: [AuthorizedEntry], to call: WorkloadCall) -> [AuthorizedEntry] {
        guard let connection = call.connection.context as? ConnectionRecord,
            case .success(let session) = connection.session
        else { return entries.filter { !$0.conditions.hasInstanceKeys } }
        return entries.map { $0.bound(to: "\(session.instance)") }
    }

    /// The missing proofs in a line, the lowest level first; what no entry asks for was not looked at, and lacks nothing.
    private static func summary(_ judgement: Judgement) -> String {
        // Paths in it are the process's own choice, and can be long.
        judgement.missing.filter { !$0.reason.hasSuffix(Gap.notAsked.description) }.prefix(4)
            .map { String("\($0)".prefix(300)) }.joined(separator: "; ")
    }

    private func bundle(_ view: AgentState.View) throws(CallStatus) -> TrustBundle {
        guard let bundle = view.bundle else { throw CallRefusal.notReady.status() }
        return bundle
    }

    // MARK: Other services

    private func answer(_ question: HealthQuestion, _ call: WorkloadCall, _ record: CallRecord) {
        let isServing = parts.state.view.isServing(at: parts.clock.now)
        switch question {
        case .check(let service):
            guard service.isEmpty else { return _ = call.finish(CallStatus(.notFound, "unknown service")) }
            call.finish(with: HealthMessages.status(isServing ? .serving : .notServing))
        case .watch(let service):
            let message = HealthMessages.status(
                service.isEmpty ? (isServing ? .serving : .notServing) : .serviceUnknown)
            let isNew = record.withState { state in
                defer { state.lastMessage = message }
                return state.lastMessage != message
            }
            if isNew { call.send(message) }
        }
    }

    private func answer(_ method: AttestationMethod, _ call: WorkloadCall, _ record: CallRecord) {
        let isFirst = record.withState { state in
            defer { state.isBusy = true }
            return !state.isBusy
        }
        guard isFirst else { return }
        let asker = Asker(uid: call.connection.peer.credentials.uid, isAdmin: isAdmin)
        record.doElsewhere(for: call) { [questions = parts.questions] in
            do throws(CallStatus) {
                call.finish(with: try await questions.answer(method, call.message, for: asker))
            } catch {
                call.finish(error)
            }
        }
    }

    // MARK: Pushing

    /// Whether a stream would say something else now than it said last, as far as the last attestation tells.
    func isStale(_ call: WorkloadCall) -> Bool {
        guard let record = call.context as? CallRecord else { return false }
        switch record.question {
        case .refused, .attestation: return false
        case .health(.check): return false
        case .health(.watch): return true
        case .workload(let request):
            let (last, attestation) = record.withState { ($0.lastMessage, $0.lastAttestation) }
            guard let last, let attestation else { return true }
            return (try? expected(request, attestation, call)) != last
        }
    }

    /// What a stream would say to a process of that attestation; throws when it would end.
    private func expected(
        _ request: WorkloadRequest, _ attestation: Attestation, _ call: WorkloadCall
    ) throws(CallStatus) -> [UInt8]? {
        let view = parts.state.view
        let entries = bound(HintRule.resolve(view.matcher.matches(attestation, now: parts.clock.now)), to: call)
        guard !entries.isEmpty, let bundle = view.bundle else { return nil }
        switch request {
        case .x509SVID:
            let held = parts.supply.held(entries, in: view)
            guard held.count == entries.count else { return nil }
            return try shelf.message(.x509SVIDs(held.map { "\($0.entry.slot)" }), revision: view.revision) {
                () throws(CallStatus) in
                try WorkloadMessages.x509SVIDs(
                    held, bundle: bundle, federated: view.federated(with: held.map(\.entry)))
            }
        case .x509Bundles: return try x509Bundles(for: entries, bundle, view)
        case .jwtBundles: return try jwtBundles(for: entries, bundle, view)
        case .jwtSVID, .validateJWTSVID: return nil
        }
    }

    private func x509Bundles(
        for entries: [AuthorizedEntry], _ bundle: TrustBundle, _ view: AgentState.View
    ) throws(CallStatus) -> [UInt8] {
        let federated = view.federated(with: entries)
        return try shelf.message(.x509Bundles(federated.map(\.trustDomain.name)), revision: view.revision) {
            () throws(CallStatus) in try WorkloadMessages.x509Bundles(bundle, federated: federated)
        }
    }

    private func jwtBundles(
        for entries: [AuthorizedEntry], _ bundle: TrustBundle, _ view: AgentState.View
    ) throws(CallStatus) -> [UInt8] {
        let federated = view.federated(with: entries)
        return try shelf.message(.jwtBundles(federated.map(\.trustDomain.name)), revision: view.revision) {
            () throws(CallStatus) in try WorkloadMessages.jwtBundles(bundle, federated: federated)
        }
    }
}
