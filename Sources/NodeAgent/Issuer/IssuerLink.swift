internal import AgentDomain
internal import Bootstrap
internal import Crypto
internal import Foundation
internal import GRPCCore
internal import Logging
internal import NodeAttestation
internal import Platform
internal import SPIFFE
internal import Synchronization

/// The agent's standing with its issuer: how it gets in, presents itself, renews, and comes back when turned away.
final class IssuerLink<Transport: ClientTransport>: Sendable {
    /// Makes a transport that presents an identity, or none.
    typealias MakeTransport = @Sendable (NodeIdentity?) async throws -> Transport?

    private let client: RotatingClient<Transport>
    let issuer: GRPCIssuerClient<Transport>
    private let makeTransport: MakeTransport
    private let prover: (any NodeProver)?
    private let staysWhenRefused: Bool
    private let store: NodeIdentityStore?
    private let rebootstrap: Rebootstrap?
    private let clock: any WallClock
    private let logger: Logger
    private let current: Mutex<NodeIdentity?>
    private let nodeKey: Mutex<NodeKey?>
    /// A join token works once.
    private let hasProof: Atomic<Bool>
    /// Cleared once an issuer has said that it keeps no node keys.
    private let registersNodeKey = Atomic(true)
    private let presentsIdentity: Atomic<Bool>

    /// Creates a link.
    ///
    /// - Parameters:
    ///   - client: Carries the calls.
    ///   - trustDomain: The issuer's.
    ///   - makeTransport: Makes a transport for a new identity; nil where the same one goes on.
    ///   - identity: The identity of the last run, if it still lives.
    ///   - nodeKey: The key by which this node may come back, if it has one.
    ///   - prover: What to show to be let in; nil when there is nothing.
    ///   - staysWhenRefused: Whether to go on asking an issuer that says no.
    ///   - store: Keeps the identity between runs; nil when it need not outlive this one.
    ///   - rebootstrap: Renews the trust in the server when it has become a stranger; nil to wait.
    ///   - clock: Says when the identity has expired or is due.
    ///   - logger: Told of joins, renewals and failures.
    init(
        client: RotatingClient<Transport>, trustDomain: TrustDomain, makeTransport: @escaping MakeTransport,
        identity: NodeIdentity?, nodeKey: NodeKey? = nil, prover: (any NodeProver)?, staysWhenRefused: Bool,
        store: NodeIdentityStore?, rebootstrap: Rebootstrap? = nil, clock: any WallClock, logger: Logger
    ) {
        self.rebootstrap = rebootstrap
        self.client = client
        self.makeTransport = makeTransport
        self.prover = prover
        self.staysWhenRefused = staysWhenRefused
        self.store = store
        self.clock = clock
        self.logger = logger
        issuer = GRPCIssuerClient(client, trustDomain: trustDomain, logger: logger)
        current = Mutex(identity)
        self.nodeKey = Mutex(nodeKey)
        hasProof = Atomic(prover != nil)
        presentsIdentity = Atomic(identity != nil)
    }

    /// The identity now; nil before the node was let in.
    var identity: NodeIdentity? { current.withLock { $0 } }

    /// Runs the connections until cancelled.
    func runConnections() async throws { try await client.run() }

    /// Gets in, if not in already: tries until the issuer answers.
    ///
    /// - Throws: ``Failure`` with status `notPermitted` when the issuer says no; `CancellationError`.
    func join() async throws {
        if let identity, !identity.hasEnded(at: clock.now) {
            try rebootstrap?.check(canReattest: identity.canReattest)
            return
        }
        guard hasWayIn else {
            throw Failure(
                .notPermitted, "this agent has not joined yet and has no join token",
                hint: "run 'mintmark token create' on the server, then start the agent with --join-token")
        }
        var (pause, entropy) = (ReconnectPause(), SystemEntropy())
        while true {
            do {
                try await comeIn()
                try rebootstrap?.check(canReattest: identity?.canReattest ?? false)
                return
            } catch IssuerClientError.unavailable(let detail) {
                logger.warning("issuer cannot be reached; trying again", metadata: ["error": "\(detail)"])
                if await rebootstrap?.renewTrustIfDue(now: clock.now) == true { try await presentNothing() }
                try await Task.sleep(for: pause.take(using: &entropy))
            } catch IssuerClientError.unproven(let detail) {
                logger.error("this node cannot prove itself; trying again", metadata: ["error": "\(detail)"])
                try await Task.sleep(for: ReconnectPause.drawn(from: .seconds(5), using: &entropy))
            } catch let error as IssuerClientError where staysWhenRefused {
                // In one process with the issuer: it must go on, so that an admin can let this agent in again.
                logger.error("issuer refuses this agent; trying again", metadata: ["error": "\(error)"])
                try await Task.sleep(for: .seconds(5))
            } catch let error as IssuerClientError {
                throw Failure(
                    .notPermitted, "the server does not let this agent in: \(error)",
                    hint: "create a new token with 'mintmark token create' and start the agent with --join-token")
            }
        }
    }

    /// Renews the identity when it is due.
    ///
    /// - Returns: Whether it was replaced.
    /// - Throws: ``IssuerClientError``; the old identity stays.
    func renewIfDue() async throws -> Bool {
        guard let identity else { return false }
        let hasEnded = identity.hasEnded(at: clock.now)
        guard hasEnded || identity.renewal.due <= clock.now else { return false }
        if hasEnded, hasWayIn {
            // Nobody takes a call from who presents an SVID that has ended.
            try await presentNothing()
            try await comeIn()
            return true
        }
        if identity.canReattest, let prover {
            try await attest(by: prover)
            return true
        }
        do {
            let key = P256.Signing.PrivateKey()
            let chain = try await issuer.renew(csr: SigningRequestMaker.request(signedBy: key))
            try await adopt(chain, key: key, canReattest: identity.canReattest)
        } catch IssuerClientError.mustReattest {
            // Without a proof that can be repeated it is put out, as by any other refusal of the agent itself.
            guard let prover, isRepeatable(prover) else {
                throw IssuerClientError.agentRefused(detail: "\(IssuerClientError.mustReattest)")
            }
            try await attest(by: prover)
        }
        logger.info("agent svid renewed", metadata: ["agent.id": "\(identity.id)"])
        return true
    }

    /// Proves this node anew to a server that was a stranger for long, once it is trusted by the bootstrap bundle.
    ///
    /// - Returns: Whether it is in.
    func rebootstrapIfDue() async -> Bool {
        guard let rebootstrap, let prover, await rebootstrap.renewTrustIfDue(now: clock.now) else { return false }
        do {
            try await presentNothing()
            // The node key is one that such a server does not know.
            try await attest(by: prover)
            logger.notice(
                "agent joined a server that was a stranger", metadata: ["agent.id": "\(identity?.id.description ?? "")"]
            )
            return true
        } catch {
            // Its connections stay without an identity, so the next sync is refused, and that leads here by another way.
            logger.warning("joining after a rebootstrap failed", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// Connects without an identity from now on: a server ends the connection of whoever presents one that it cannot judge.
    private func presentNothing() async throws {
        guard presentsIdentity.exchange(false, ordering: .relaxed), let transport = try await makeTransport(nil) else {
            return
        }
        client.rotate(to: transport)
    }

    /// Brings the renewal of the identity forward when what signed it has lost its good name.
    func replaceSigned(by spoiled: SpoiledSVIDs, now: Date) {
        var entropy = SystemEntropy()
        current.withLock { identity in
            guard let spread = identity.flatMap({ spoiled.spread(of: $0.authorityKeyID) }) else { return }
            identity?.hasten(now: now, within: spread, using: &entropy)
        }
    }

    /// Whether the identity has ended and only a new token would help.
    var needsToken: Bool { !hasWayIn && (identity.map { $0.hasEnded(at: clock.now) } ?? false) }

    /// Gets in once more, with a proof that works again, or with a join token that was not needed at the start.
    ///
    /// - Returns: Whether it worked.
    func rejoinIfPossible() async -> Bool {
        guard hasWayIn else { return false }
        do {
            try await comeIn()
            return true
        } catch {
            logger.warning("joining again failed", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// Registers the key by which this node comes back, once for each issuer and ID.
    ///
    /// Whatever it proved itself by: what is trusted on first use is not trusted again after a sleep.
    ///
    /// - Throws: ``IssuerClientError``, and what the file system throws.
    func registerNodeKeyIfNeeded() async throws {
        guard let store, let identity, !identity.canReattest, registersNodeKey.load(ordering: .relaxed) else { return }
        let known = nodeKey.withLock { $0 }
        guard known?.agentID != identity.id || known?.isRegistered == false else { return }
        // Written before anybody knows it, with whom it may be known to afterwards: a key that is registered and lost,
        // or held back, would be of no use.
        var key = known ?? NodeKey(key: P256.Signing.PrivateKey(), agentID: nil, isRegistered: false)
        (key.agentID, key.isRegistered) = (identity.id, false)
        try keep(key, in: store)
        do {
            try await issuer.registerNodeKey(
                publicKey: key.publicKey, signature: try key.registration(of: identity.id))
        } catch IssuerClientError.mustReattest {
            // It has learnt meanwhile that this node can repeat its proof.
            registersNodeKey.store(false, ordering: .relaxed)
            return try forgetRegistration()
        } catch IssuerClientError.refused(let detail) {
            registersNodeKey.store(false, ordering: .relaxed)
            logger.info(
                "issuer keeps no node keys; an agent that sleeps past its svid needs a new token",
                metadata: ["error": "\(detail)"])
            return try forgetRegistration()
        }
        key.isRegistered = true
        try keep(key, in: store)
        logger.info("node key registered", metadata: ["agent.id": "\(identity.id)"])
    }

    /// Keeps a node key for this run and the next.
    private func keep(_ key: NodeKey, in store: NodeIdentityStore?) throws {
        try store?.save(key)
        nodeKey.withLock { $0 = key }
    }

    private var hasWayIn: Bool {
        hasProof.load(ordering: .relaxed) || nodeKey.withLock { $0?.agentID != nil }
    }

    private func isRepeatable(_ prover: any NodeProver) -> Bool { prover.type != JoinTokenProver.type }

    /// Gets in by whatever works: the node's key before a token, which works once.
    private func comeIn() async throws {
        var refusal: IssuerClientError?
        if let known = nodeKey.withLock({ $0 }), let agentID = known.agentID {
            let key = P256.Signing.PrivateKey()
            let prover = NodeKeyProver(
                key: known.key, agentID: agentID, agentKey: Array(key.publicKey.derRepresentation))
            do {
                try await attest(by: prover, key: key)
                logger.info("agent came back by its node key", metadata: ["agent.id": "\(agentID)"])
                return
            } catch IssuerClientError.unavailable(let detail) {
                throw IssuerClientError.unavailable(detail: detail)
            } catch let error as IssuerClientError {
                logger.warning("issuer refuses the node key", metadata: ["error": "\(error)"])
                refusal = error
            }
        }
        guard let prover, hasProof.load(ordering: .relaxed) else {
            throw IssuerClientError.agentRefused(detail: refusal.map { "\($0)" } ?? "no proof is left")
        }
        try await attest(by: prover)
        logger.info("agent joined", metadata: ["agent.id": "\(identity?.id.description ?? "")"])
    }

    private func attest(by prover: any NodeProver) async throws {
        guard !isRepeatable(prover) else {
            try await attest(by: prover, key: P256.Signing.PrivateKey())
            try forgetRegistration()
            return
        }
        let key: P256.Signing.PrivateKey
        if let store { key = try store.joinKey() } else { key = P256.Signing.PrivateKey() }
        do {
            try await attest(by: prover, key: key)
        } catch IssuerClientError.badRequest(let detail) {
            // The token has been used, or has ended; neither will change.
            hasProof.store(false, ordering: .relaxed)
            throw IssuerClientError.badRequest(detail: detail)
        }
        hasProof.store(false, ordering: .relaxed)
        try store?.forgetJoinKey()
    }

    /// Who is let in anew has no node key with the issuer, also under the ID that it had; nor has who was refused one.
    private func forgetRegistration() throws {
        guard var key = nodeKey.withLock({ $0 }), key.agentID != nil else { return }
        (key.agentID, key.isRegistered) = (nil, false)
        try keep(key, in: store)
    }

    private func attest(by prover: any NodeProver, key: P256.Signing.PrivateKey) async throws {
        let answer = try await issuer.attest(prover, csr: SigningRequestMaker.request(signedBy: key))
        try await adopt(answer.chain, key: key, canReattest: answer.canReattest)
    }

    private func adopt(_ chain: [[UInt8]], key: P256.Signing.PrivateKey, canReattest: Bool) async throws {
        var entropy = SystemEntropy()
        let identity = try NodeIdentity(
            chain: chain, key: key, canReattest: canReattest, now: clock.now, using: &entropy)
        // Kept before it is used: from its first use on, the issuer takes no other.
        try store?.save(identity)
        if let transport = try await makeTransport(identity) { client.rotate(to: transport) }
        presentsIdentity.store(true, ordering: .relaxed)
        current.withLock { $0 = identity }
    }
}
