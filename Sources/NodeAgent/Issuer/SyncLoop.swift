internal import AgentDomain
internal import Bootstrap
internal import Foundation
internal import GRPCCore
internal import Logging
internal import Platform
internal import SPIFFE
internal import Synchronization

/// Keeps the agent's state in step with the issuer: at once when something is announced, and on a timer in any case.
final class SyncLoop<Transport: ClientTransport>: Sendable {
    /// How often to ask an issuer that announces nothing, such as one of another make.
    private static var pollInterval: Duration { .seconds(5) }
    /// How often to ask one that announces, in case an announcement was lost.
    private static var followedInterval: Duration { .seconds(30) }

    private let link: IssuerLink<Transport>
    private let state: AgentState
    private let supply: SVIDSupply
    private let store: NodeIdentityStore?
    private let trust: TrustStore
    private let clock: any WallClock
    private let logger: Logger
    private let wakeUps: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation
    private let following: Mutex<Following>

    private struct Following {
        var announced: UInt64 = 0
        var isFollowing = false
        var acknowledge: AsyncStream<UInt64>.Continuation?
        /// Finished when this agent presents a new SVID: the issuer ends what was opened with the old one.
        var rotated: AsyncStream<Void>.Continuation?
    }

    let counters = SyncCounters()

    init(
        link: IssuerLink<Transport>, state: AgentState, supply: SVIDSupply, trust: TrustStore,
        store: NodeIdentityStore?, clock: any WallClock, logger: Logger
    ) {
        self.link = link
        self.state = state
        self.supply = supply
        self.trust = trust
        self.store = store
        self.clock = clock
        self.logger = logger
        following = Mutex(Following())
        (wakeUps, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Runs until cancelled.
    ///
    /// - Parameter onFirstSync: Called once, when workloads can be served.
    /// - Throws: ``Failure`` when the issuer does not let this agent in; `CancellationError`.
    func run(onFirstSync: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.link.runConnections() }
            group.addTask {
                try await self.link.join()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await self.follow() }
                    group.addTask { try await self.tick() }
                    group.addTask { try await self.syncOnWakeUp(onFirstSync) }
                    try await group.next()
                    group.cancelAll()
                }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    private func syncOnWakeUp(_ onFirstSync: @Sendable () async throws -> Void) async throws {
        var (pause, entropy) = (ReconnectPause(), SystemEntropy())
        var isFirst = true
        var refusals = 0
        var hasRejoined = false
        waker.yield()
        for await _ in wakeUps {
            do {
                if try await link.renewIfDue() { following.withLock { $0.rotated?.finish() } }
                try await sync()
                counters.noteSuccess()
                try await link.registerNodeKeyIfNeeded()
                pause.reset()
                refusals = 0
                hasRejoined = false
                if isFirst {
                    isFirst = false
                    try await onFirstSync()
                }
            } catch let error as CancellationError {
                throw error
            } catch IssuerClientError.agentRefused(let detail) {
                counters.noteFailure()
                refusals += 1
                // Once may be a call that was under way while this agent's SVID was replaced.
                let isIn = refusals > 1 ? await handleRefusal(detail) : false
                // In again, it goes on at once, unless that is what it was told before and was refused all the same.
                if !isIn || hasRejoined {
                    let longest = refusals > 1 ? Duration.seconds(5) : .milliseconds(300)
                    try await Task.sleep(for: ReconnectPause.drawn(from: longest, using: &entropy))
                }
                if isIn { hasRejoined = true }
                waker.yield()
            } catch let failure as Failure {
                throw failure
            } catch {
                counters.noteFailure()
                if await link.rebootstrapIfDue() {
                    following.withLock { $0.rotated?.finish() }
                    waker.yield()
                    continue
                }
                if link.needsToken {
                    logger.error(
                        "agent svid has expired; start the agent with a new token from 'mintmark token create'",
                        metadata: ["error": "\(error)"])
                } else {
                    logger.warning("sync failed; trying again", metadata: ["error": "\(error)"])
                }
                try await Task.sleep(for: pause.take(using: &entropy))
                waker.yield()
            }
        }
    }

    /// One round: what may be served, whom to trust, and the SVIDs that are due.
    private func sync() async throws {
        let announced = following.withLock { $0.announced }
        let entries = try await link.issuer.authorizedEntries(held: state.view.entries)
        let (bundle, tainted) = try await link.issuer.bundle()
        let federated = try await link.issuer.federatedBundles(
            of: Set(entries.values.flatMap(\.federatesWith)), held: state.view.federated)
        let now = clock.now
        let isNewBundle = bundle != state.view.bundle || tainted != state.view.tainted
        let isNewContent = entries != state.view.entries || federated != state.view.federated
        if isNewBundle {
            trust.replace(bundle)
            try store?.save(bundle)
        }
        let spoiled = isNewBundle ? SpoiledSVIDs(tainted: tainted, bundle: bundle, held: state.view.svids.count) : nil
        if let spoiled {
            link.replaceSigned(by: spoiled, now: now)
            state.withJWTs { $0.drop(tainted: tainted.keyIDs, published: Set(bundle.jwt.authorities.keys)) }
        }
        if isNewBundle || isNewContent {
            // Withdrawn entries are gone at once, before anything new is asked for.
            state.update { view in
                view.bundle = bundle
                view.federated = federated
                view.tainted = tainted
                view.entries = entries
                view.matcher = EntryMatcher(entries.values)
                view.svids = view.svids.filter { entries[$0.key.entryID]?.entry(in: $0.key) != nil }
                spoiled?.hasten(&view.svids, now: now)
                view.lastSync = now
            }
            state.withJWTs { $0.retain(entries: entries.mapValues(\.revision), now: now) }
            do {
                try await link.issuer.postStatus(version: Version.text, bundleSequence: bundle.sequence ?? 0)
            } catch {
                // A courtesy: nothing depends on it.
                logger.debug("status not posted", metadata: ["error": "\(error)"])
            }
        } else {
            state.noteSync(at: now)
        }
        try await supply.issueDue()
        following.withLock { _ = $0.acknowledge?.yield(announced) }
    }

    /// Follows the issuer's announcements, again and again; an issuer that has none is polled.
    private func follow() async throws {
        var (lost, entropy) = (ReconnectPause(), SystemEntropy())
        while true {
            let pause: Duration
            do {
                try await followOnce()
                // Ended well, or to go on with a new SVID.
                pause = .milliseconds(20)
                lost.reset()
            } catch IssuerClientError.refused {
                // This issuer does not announce; ask again now and then, it may be upgraded.
                pause = ReconnectPause.drawn(from: .seconds(60), using: &entropy)
            } catch {
                pause = lost.take(using: &entropy)
            }
            following.withLock { $0.isFollowing = false }
            waker.yield()
            try await Task.sleep(for: pause)
        }
    }

    private func followOnce() async throws {
        let (applied, acknowledge) = AsyncStream.makeStream(of: UInt64.self, bufferingPolicy: .bufferingNewest(1))
        let (rotation, rotated) = AsyncStream.makeStream(of: Void.self)
        following.withLock { ($0.acknowledge, $0.rotated, $0.announced) = (acknowledge, rotated, 0) }
        defer { acknowledge.finish() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [waker] in
                try await self.link.issuer.follow(applied: applied) { revision in
                    self.following.withLock {
                        $0.announced = revision
                        $0.isFollowing = true
                    }
                    waker.yield()
                }
            }
            group.addTask { for await _ in rotation {} }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Wakes the sync when the next renewal is due, and in any case after a while.
    ///
    /// Looks again every half second: what is due changes whenever an SVID is issued, and a wait that began before that
    /// would sleep past its renewal.
    private func tick() async throws {
        var lastRound = clock.now
        while true {
            let interval = following.withLock { $0.isFollowing } ? Self.followedInterval : Self.pollInterval
            // A clock that was set back must not make the next round wait for it.
            let now = clock.now
            lastRound = min(lastRound, now)
            var deadline = lastRound + interval.timeInterval
            let ended = link.identity.flatMap { $0.hasEnded(at: now) ? now : nil }
            let due = [IssuancePlan.nextDue(state.view.svids), link.identity?.renewal.due, ended].compactMap(\.self)
                .min()
            if let due {
                // What the last round could not renew is left alone for a while.
                deadline = min(deadline, max(due, lastRound + (due <= lastRound ? 5 : 0.2)))
            }
            guard deadline > now else {
                lastRound = now
                waker.yield()
                continue
            }
            try await clock.sleep(for: .seconds(min(deadline.timeIntervalSince(now), 0.5)))
        }
    }

    /// The issuer no longer knows this agent: nothing may be served on its word.
    ///
    /// - Returns: Whether it is in again.
    private func handleRefusal(_ detail: String) async -> Bool {
        if await link.rejoinIfPossible() {
            // What was opened with the old SVID ends.
            following.withLock { $0.rotated?.finish() }
            logger.notice("agent joined again", metadata: ["error": "\(detail)"])
            return true
        }
        state.update { view in
            view.entries = [:]
            view.federated = [:]
            view.matcher = EntryMatcher()
            view.svids = [:]
            view.lastSync = nil
        }
        state.withJWTs { $0.retain(entries: [:], now: clock.now) }
        logger.error(
            "issuer refuses this agent; nothing is served until it is let in again",
            metadata: ["error": "\(detail)", "hint": "create a token with 'mintmark token create', or lift the ban"])
        return false
    }
}

/// The bundle that the issuer's own certificate is judged by.
final class TrustStore: Sendable {
    private let bundle: Mutex<TrustBundle>

    init(_ bundle: TrustBundle) { self.bundle = Mutex(bundle) }

    var current: TrustBundle { bundle.withLock { $0 } }

    func replace(_ bundle: TrustBundle) { self.bundle.withLock { $0 = bundle } }
}
