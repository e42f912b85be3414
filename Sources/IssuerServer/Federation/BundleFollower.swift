package import Foundation
package import IssuerDomain
package import Logging
package import OutboundHTTP
package import Platform
package import SPIFFE
internal import Synchronization
internal import X509

/// Keeps the bundles of other trust domains fresh.
///
/// Each relationship is fetched on its own: one slow or hostile endpoint delays no other, and none is asked twice at once
/// by this loop.
package final class BundleFollower: Sendable {
    /// How a relationship fares.
    package struct Status: Sendable {
        fileprivate let relationship: FederationRelationship
        fileprivate var isUnderWay = false
        package fileprivate(set) var due: Date
        package fileprivate(set) var attempted: Date?
        package fileprivate(set) var succeeded: Date?
        /// Why the last attempt failed; nil when it did not.
        package fileprivate(set) var error: String?
    }

    /// From the first byte sent to the last one read.
    private static let deadline = Duration.seconds(20)
    /// How long the loop sleeps at most.
    private static let nap = Duration.seconds(1)

    private let federation: FederationRegistrar
    private let ownBundle: @Sendable () -> TrustBundle
    private let fetcher: any HTTPFetcher
    private let clock: any WallClock
    private let logger: Logger
    private let state = Mutex<[TrustDomain: Status]>([:])
    private let wakeUps: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    package init(
        federation: FederationRegistrar, ownBundle: @escaping @Sendable () -> TrustBundle, fetcher: any HTTPFetcher,
        clock: any WallClock, logger: Logger
    ) {
        self.federation = federation
        self.ownBundle = ownBundle
        self.fetcher = fetcher
        self.clock = clock
        self.logger = logger
        (wakeUps, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// How every relationship fares, in the order of trust domains.
    package var statuses: [(TrustDomain, Status)] { state.withLock { $0.sorted { $0.key < $1.key } } }

    /// Looks at the relationships at once: some were changed.
    package func wake() { waker.yield() }

    /// Fetches what is due, until cancelled.
    package func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask {
                while true {
                    self.waker.yield()
                    try await self.clock.sleep(for: Self.nap)
                }
            }
            for await _ in wakeUps {
                for relationship in takeDue(now: clock.now) {
                    // What became of it is in its status.
                    group.addTask { do { try await self.refresh(relationship) } catch {} }
                }
            }
            try Task.checkCancellation()
        }
    }

    /// Fetches one bundle now.
    ///
    /// - Throws: ``BundleFetchError``; then the bundle that was held is still there.
    package func refresh(_ relationship: FederationRelationship) async throws(BundleFetchError) {
        let domain = relationship.trustDomain
        let attempted = clock.now
        do throws(BundleFetchError) {
            let bundle = try await fetch(relationship)
            let isNew = try await federation.refresh(relationship, with: bundle)
            note(relationship, attempted: attempted, error: nil)
            logger.log(
                level: isNew ? .info : .debug, "federated bundle fetched",
                metadata: [
                    "trust_domain": "\(domain)", "endpoint.url": "\(relationship.endpoint.url)",
                    "bundle.is_new": "\(isNew)", "bundle.sequence": "\(bundle.trust.sequence ?? 0)",
                ])
        } catch {
            note(relationship, attempted: attempted, error: error)
            logger.warning(
                "federated bundle not fetched",
                metadata: [
                    "trust_domain": "\(domain)", "endpoint.url": "\(relationship.endpoint.url)", "error": "\(error)",
                ])
            throw error
        }
    }

    /// The relationships that are due and not being fetched; from now on they are.
    private func takeDue(now: Date) -> [FederationRelationship] {
        let relationships = federation.current.relationships
        return state.withLock { state in
            state = state.filter { relationships[$0.key] == $0.value.relationship }
            var due: [FederationRelationship] = []
            for (domain, relationship) in relationships {
                var status = state[domain] ?? Status(relationship: relationship, due: now)
                // A clock that was set back must not put an attempt off for ever.
                let isOverdue = status.due <= now || status.due > now + RefreshPlan.intervals.upperBound.timeInterval
                if isOverdue, !status.isUnderWay {
                    status.isUnderWay = true
                    due.append(relationship)
                }
                state[domain] = status
            }
            return due
        }
    }

    private func note(_ relationship: FederationRelationship, attempted: Date, error: BundleFetchError?) {
        let domain = relationship.trustDomain
        let held = federation.current.bundles[domain]?.trust
        var entropy = SystemEntropy()
        let due = RefreshPlan.next(after: clock.now, holding: held, using: &entropy)
        state.withLock { state in
            // It may have been changed or ended meanwhile, and then begins anew.
            guard var status = state[domain], status.relationship == relationship else { return }
            status.isUnderWay = false
            status.due = due
            status.attempted = attempted
            status.error = error.map { "\($0)" }
            if error == nil { status.succeeded = attempted }
            state[domain] = status
        }
    }

    private func fetch(_ relationship: FederationRelationship) async throws(BundleFetchError) -> FederatedBundle {
        let request = HTTPFetch(
            url: relationship.endpoint.url.text, headers: [("accept", "application/json")],
            trust: try trust(in: relationship.endpoint.profile), deadline: Self.deadline,
            maximumBody: TrustBundle.maximumDocumentLength)
        let answer: HTTPFetched
        do throws(HTTPFetchError) { answer = try await fetcher.fetch(request) } catch {
            throw .unreachable("\(error)")
        }
        guard answer.status == 200 else { throw .status(answer.status) }
        let trust: TrustBundle
        do throws(SPIFFEError) {
            trust = try TrustBundle(json: answer.body, trustDomain: relationship.trustDomain)
        } catch { throw .malformed(error.message) }
        do throws(FederationError) { return try FederatedBundle(trust) } catch { throw .malformed("\(error)") }
    }

    /// Whom to believe: for an SVID, the bundle of its own domain as it is held now (FED-24, FED-26).
    private func trust(in profile: BundleEndpoint.Profile) throws(BundleFetchError) -> HTTPFetch.Trust {
        switch profile {
        case .web: return .web
        case .spiffe(let id):
            let own = ownBundle()
            let bundle =
                own.trustDomain == id.trustDomain ? own : federation.current.bundles[id.trustDomain]?.trust
            guard let bundle else { throw .endpointUnknown(id.trustDomain) }
            return .verified { [clock] presented in
                let svid = try? X509SVIDVerification.verify(presented, at: clock.now) {
                    $0 == bundle.trustDomain ? bundle.x509 : nil
                }
                return svid?.id == id
            }
        }
    }
}
