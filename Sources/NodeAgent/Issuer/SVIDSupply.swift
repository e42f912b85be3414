internal import AgentDomain
internal import Crypto
internal import Foundation
internal import GRPCWire
internal import Logging
internal import Platform
internal import SPIFFE
internal import Synchronization
internal import X509

/// Gets SVIDs from the issuer, ahead of demand or on it, and keeps them in the agent's state.
final class SVIDSupply: Sendable {
    /// Signing requests sent at once.
    private static let batch = 100

    private let issuer: any IssuerClient
    private let state: AgentState
    private let clock: any WallClock
    private let logger: Logger
    private let issuing = Turnstile()
    /// Entries that were refused, and when to ask for them again ahead of demand.
    private let refusals = Mutex<[String: Date]>([:])

    /// How long to leave a refused entry alone.
    private static let refusalPause: TimeInterval = 30

    init(issuer: any IssuerClient, state: AgentState, clock: any WallClock, logger: Logger) {
        self.issuer = issuer
        self.state = state
        self.clock = clock
        self.logger = logger
    }

    /// Asks the issuer for the SVIDs of some entries that are not there yet; a failure is logged.
    func issueOnDemand(for entries: [AuthorizedEntry]) async {
        do { try await issue(for: entries) } catch {
            guard !Task.isCancelled else { return }
            logger.warning("svids not issued on demand", metadata: ["error": "\(error)"])
        }
    }

    /// A token from the cache, while it is in the first half of its life.
    func cachedJWTSVID(for entry: AuthorizedEntry, audience: [String]) -> HeldJWTSVID? {
        guard !entry.includesJTI else { return nil }
        let key = JWTCache.Key(slot: entry.slot, entryRevision: entry.revision, audience: audience)
        return state.withJWTs { $0.fresh(key, now: clock.now) }
    }

    /// A token for an entry: a new one, and when none can be had, one that still lives.
    ///
    /// - Throws: `CallStatus` for the caller.
    func jwtSVID(for entry: AuthorizedEntry, audience: [String]) async throws(CallStatus) -> HeldJWTSVID {
        let key = JWTCache.Key(slot: entry.slot, entryRevision: entry.revision, audience: audience)
        do {
            let svid = try await issuer.jwtSVID(slot: entry.slot, audience: audience)
            // One that was under way while its key was tainted is not kept.
            let isTainted = svid.keyID.map { state.view.tainted.keyIDs.contains($0) } ?? false
            if !entry.includesJTI, !isTainted { state.withJWTs { $0.insert(svid, for: key) } }
            return svid
        } catch {
            if !entry.includesJTI, let usable = state.withJWTs({ $0.usable(key, now: clock.now) }) { return usable }
            // Nobody waits any more; callers who come and go must not fill the log.
            guard !Task.isCancelled else { throw CallRefusal.notReady.status() }
            logger.warning("jwt-svid not issued", metadata: ["entry.id": "\(entry.id)", "error": "\(error)"])
            switch error {
            case .badRequest(let detail): throw CallStatus(.invalidArgument, "JWT-SVID refused: \(detail)")
            // The entry went away between the look-up and the call.
            case .notEntitled: throw CallRefusal.noEntry.status()
            case .refused, .unavailable, .agentRefused, .mustReattest, .unproven, .badAnswer:
                throw CallRefusal.notReady.status("JWT-SVIDs are not available; retry later")
            }
        }
    }

    /// Issues whatever is due among all entries.
    ///
    /// - Throws: ``IssuerClientError`` when the issuer cannot be reached; what was issued until then is kept.
    func issueDue() async throws(IssuerClientError) {
        try await issuing.pass { () async throws(IssuerClientError) in
            let view = self.state.view
            let now = self.clock.now
            let paused = self.refusals.withLock { refusals in
                refusals = refusals.filter { $0.value > now && view.entries[$0.key] != nil }
                return Set(refusals.keys)
            }
            let due = IssuancePlan.due(view.entries.values, held: view.svids, now: now)
            try await self.request(due.filter { !paused.contains($0.id) })
        }
    }

    private func issue(for entries: [AuthorizedEntry]) async throws(IssuerClientError) {
        try await issuing.pass { () async throws(IssuerClientError) in
            // Whoever was ahead may have issued them meanwhile.
            let present = Set(self.held(entries, in: self.state.view).map(\.entry.slot))
            try await self.request(entries.filter { !present.contains($0.slot) })
        }
    }

    /// The SVIDs of some entries that are there and can be handed out now, in the entries' order.
    func held(
        _ entries: [AuthorizedEntry], in view: AgentState.View
    ) -> [(entry: AuthorizedEntry, svid: HeldX509SVID)] {
        let now = clock.now
        return entries.compactMap { entry in
            guard let svid = view.svids[entry.slot], svid.entryRevision == entry.revision, svid.validity.contains(now)
            else { return nil }
            return (entry, svid)
        }
    }

    private func request(_ entries: [AuthorizedEntry]) async throws(IssuerClientError) {
        var rest = entries[...]
        while !rest.isEmpty {
            let batch = Array(rest.prefix(Self.batch))
            rest = rest.dropFirst(Self.batch)
            var keys: [WorkloadKey] = []
            var requests: [(slot: SVIDSlot, csr: [UInt8])] = []
            for entry in batch {
                guard let key = try? WorkloadKey(entry.conditions.keyType ?? .ecP256),
                    let csr = try? SigningRequestMaker.request(signedBy: key.certificateKey)
                else {
                    throw .badAnswer(detail: "cannot make a signing request")
                }
                keys.append(key)
                requests.append((entry.slot, csr))
            }
            let chains = try await issuer.x509SVIDs(requests)
            var entropy = SystemEntropy()
            var issued: [SVIDSlot: HeldX509SVID] = [:]
            for ((entry, key), chain) in zip(zip(batch, keys), chains) {
                guard let chain else {
                    logger.warning("issuer refused an svid", metadata: ["entry.id": "\(entry.id)"])
                    refusals.withLock { $0[entry.id] = clock.now + Self.refusalPause }
                    continue
                }
                do {
                    issued[entry.slot] = try IssuedChain.svid(
                        chain, key: key, for: entry, now: clock.now, using: &entropy)
                } catch {
                    logger.error(
                        "issuer sent an svid that is not sound",
                        metadata: ["entry.id": "\(entry.id)", "error": "\(error)"])
                }
            }
            state.update { view in
                // An entry that went away or changed meanwhile must not come back with its old identity.
                for (slot, svid) in issued where view.entries[slot.entryID]?.revision == svid.entryRevision {
                    // Nor one whose process has left meanwhile.
                    if let instance = slot.instance, view.connections[instance] == nil { continue }
                    view.svids[slot] = svid
                    // One that was under way while its authority was tainted is replaced with the others.
                    guard view.tainted.authorityKeyIDs.contains(svid.authorityKeyID) else { continue }
                    var entropy = SystemEntropy()
                    view.svids[slot]?.hasten(now: clock.now, within: SpoiledSVIDs.shortestSpread, using: &entropy)
                }
            }
        }
    }
}

/// What the issuer sends back for a signing request.
enum IssuedChain {
    /// Judges a chain against what was asked for: the entry's name and the key that stayed here.
    static func svid(
        _ chain: [[UInt8]], key: WorkloadKey, for entry: AuthorizedEntry, now: Date,
        using entropy: inout some Entropy
    ) throws -> HeldX509SVID {
        let leaf = try leaf(of: chain, key: key.certificateKey.publicKey)
        guard leaf.id == entry.spiffeID else {
            throw SPIFFEError(.invalidX509SVID, "it names \(leaf.id) instead of \(entry.spiffeID)")
        }
        return HeldX509SVID(
            spiffeID: leaf.id, entryRevision: entry.revision, chain: chain.flatMap { $0 },
            key: key.pkcs8, validity: leaf.validity,
            renewal: RenewalPlan(arrived: now, end: leaf.validity.upperBound, using: &entropy),
            authorityKeyID: leaf.authorityKeyID)
    }

    /// Judges a chain's leaf by the profile and against the key.
    static func leaf(
        of chain: [[UInt8]], key: P256.Signing.PrivateKey
    ) throws -> (id: SPIFFEID, validity: Range<Date>, authorityKeyID: String) {
        try leaf(of: chain, key: Certificate.PublicKey(key.publicKey))
    }

    private static func leaf(
        of chain: [[UInt8]], key: Certificate.PublicKey
    ) throws -> (id: SPIFFEID, validity: Range<Date>, authorityKeyID: String) {
        let certificates = try chain.map { try DERConcatenation.certificate(in: $0[...]) }
        guard let leaf = certificates.first else { throw SPIFFEError(.invalidX509SVID, "chain is empty") }
        let id = try X509SVIDProfile.checkLeaf(leaf)
        for intermediate in certificates.dropFirst() { try X509SVIDProfile.checkIntermediate(intermediate) }
        guard leaf.publicKey == key else {
            throw SPIFFEError(.invalidPrivateKey, "it is for another key")
        }
        guard leaf.notValidBefore < leaf.notValidAfter else {
            throw SPIFFEError(.outsideValidity, "it is never valid")
        }
        let above = try certificates.last?.extensions.authorityKeyIdentifier?.keyIdentifier
        return (id, leaf.notValidBefore..<leaf.notValidAfter, Hex.encode(above ?? []))
    }
}
