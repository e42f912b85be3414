internal import AgentDomain
internal import Bootstrap
internal import Crypto
internal import Foundation
internal import GRPCCore
internal import Logging
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
    private let evidence: NodeEvidence?
    private let canReattest: Bool
    private let store: NodeIdentityStore?
    private let clock: any WallClock
    private let logger: Logger
    private let current: Mutex<NodeIdentity?>
    /// A join token works once; one that came with an identity that still lived has not been used.
    private let hasSpareEvidence: Atomic<Bool>

    /// Creates a link.
    ///
    /// - Parameters:
    ///   - client: Carries the calls.
    ///   - trustDomain: The issuer's.
    ///   - makeTransport: Makes a transport for a new identity; nil where the same one goes on.
    ///   - identity: The identity of the last run, if it still lives.
    ///   - evidence: What to show to be let in; nil when there is nothing.
    ///   - canReattest: Whether the evidence works more than once.
    ///   - store: Keeps the identity between runs; nil when it need not outlive this one.
    ///   - clock: Says when the identity has expired or is due.
    ///   - logger: Told of joins, renewals and failures.
    init(
        client: RotatingClient<Transport>, trustDomain: TrustDomain, makeTransport: @escaping MakeTransport,
        identity: NodeIdentity?, evidence: NodeEvidence?, canReattest: Bool, store: NodeIdentityStore?,
        clock: any WallClock, logger: Logger
    ) {
        self.client = client
        self.makeTransport = makeTransport
        self.evidence = evidence
        self.canReattest = canReattest
        self.store = store
        self.clock = clock
        self.logger = logger
        issuer = GRPCIssuerClient(client, trustDomain: trustDomain, logger: logger)
        current = Mutex(identity)
        hasSpareEvidence = Atomic(identity != nil && evidence != nil)
    }

    /// The identity now; nil before the node was let in.
    var identity: NodeIdentity? { current.withLock { $0 } }

    /// Runs the connections until cancelled.
    func runConnections() async throws { try await client.run() }

    /// Gets in, if not in already: tries until the issuer answers.
    ///
    /// - Throws: ``Failure`` with status `notPermitted` when the issuer says no; `CancellationError`.
    func join() async throws {
        if let identity, identity.validity.upperBound > clock.now { return }
        guard let evidence else {
            throw Failure(
                .notPermitted, "this agent has not joined yet and has no join token",
                hint: "run 'mintmark token create' on the server, then start the agent with --join-token")
        }
        var pause = Duration.milliseconds(200)
        while true {
            do {
                let key = P256.Signing.PrivateKey()
                let chain = try await issuer.attest(
                    evidence, csr: try SigningRequestMaker.request(signedBy: key))
                try await adopt(chain, key: key)
                logger.info("agent joined", metadata: ["agent.id": "\(identity?.id.description ?? "")"])
                return
            } catch IssuerClientError.unavailable(let detail) {
                logger.warning("issuer cannot be reached; trying again", metadata: ["error": "\(detail)"])
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(5))
            } catch let error as IssuerClientError where canReattest {
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
        guard let identity, identity.renewal.due <= clock.now else { return false }
        if canReattest {
            try await rejoin()
            return true
        }
        let key = P256.Signing.PrivateKey()
        try await adopt(try await issuer.renew(csr: SigningRequestMaker.request(signedBy: key)), key: key)
        logger.info("agent svid renewed", metadata: ["agent.id": "\(identity.id)"])
        return true
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
    var needsToken: Bool { !canReattest && (identity.map { $0.validity.upperBound <= clock.now } ?? false) }

    /// Gets in once more, with evidence that works again, or with a join token that was not needed at the start.
    ///
    /// - Returns: Whether it worked.
    func rejoinIfPossible() async -> Bool {
        guard evidence != nil else { return false }
        if !canReattest, !hasSpareEvidence.exchange(false, ordering: .relaxed) { return false }
        do {
            try await rejoin()
            return true
        } catch {
            logger.warning("joining again failed", metadata: ["error": "\(error)"])
            return false
        }
    }

    private func rejoin() async throws {
        guard let evidence else { return }
        let key = P256.Signing.PrivateKey()
        try await adopt(
            try await issuer.attest(evidence, csr: SigningRequestMaker.request(signedBy: key)), key: key)
    }

    private func adopt(_ chain: [[UInt8]], key: P256.Signing.PrivateKey) async throws {
        var entropy = SystemEntropy()
        let identity = try NodeIdentity(chain: chain, key: key, now: clock.now, using: &entropy)
        // Kept before it is used: from its first use on, the issuer takes no other.
        try store?.save(identity)
        if let transport = try await makeTransport(identity) { client.rotate(to: transport) }
        current.withLock { $0 = identity }
    }
}
