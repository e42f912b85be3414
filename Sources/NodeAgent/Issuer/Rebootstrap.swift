internal import AgentDomain
internal import Bootstrap
internal import Foundation
internal import Logging
internal import Platform
package import SPIFFE
internal import Synchronization

/// How an agent finds whom to trust anew when its server has become a stranger, as one that was made again without its data.
package struct RebootstrapPlan: Sendable {
    /// How long a server must be a stranger first: an authority that is on its way needs no such help.
    package let delay: Duration
    /// Whether an agent that could not prove itself again is not to run at all.
    package let isDemanded: Bool
    /// Gets the bundle from where the agent had its first one.
    package let fetch: @Sendable () async throws -> TrustBundle

    package init(
        delay: Duration, isDemanded: Bool = false, fetch: @escaping @Sendable () async throws -> TrustBundle
    ) {
        (self.delay, self.isDemanded, self.fetch) = (delay, isDemanded, fetch)
    }
}

/// Notes since when the server has been a stranger, and renews the trust in it when that has been long enough.
///
/// Who stands between an agent and its server can bring this about, and gains nothing: trust comes from where it came
/// from at first.
final class Rebootstrap: Sendable {
    private let plan: RebootstrapPlan
    private let trust: TrustStore
    private let logger: Logger
    private let strangeSince = Mutex<Date?>(nil)

    init(_ plan: RebootstrapPlan, trust: TrustStore, logger: Logger) {
        (self.plan, self.trust, self.logger) = (plan, trust, logger)
    }

    /// Refuses to go on with an identity whose proof cannot be repeated, where that is demanded.
    ///
    /// - Throws: ``Failure`` with status `configuration`.
    func check(canReattest: Bool) throws(Failure) {
        guard plan.isDemanded, !canReattest else { return }
        throw Failure(
            .configuration, "rebootstrap_mode is always, and the server does not let this node prove itself again",
            hint: "use an attestor whose proof can be repeated, or set rebootstrap_mode to auto")
    }

    /// Notes a server whose certificate leads to nobody trusted.
    func noteStranger(at now: Date) { strangeSince.withLock { $0 = $0 ?? now } }

    /// Notes a server that is trusted.
    func noteTrusted() { strangeSince.withLock { $0 = nil } }

    /// Trusts the bootstrap bundle as well, once the server has been a stranger for long enough.
    ///
    /// - Returns: Whether somebody is trusted that was not.
    func renewTrustIfDue(now: Date) async -> Bool {
        guard let since = strangeSince.withLock({ $0 }), since + plan.delay.timeInterval <= now else { return false }
        // Whatever comes of it: not again before the same time has passed.
        strangeSince.withLock { $0 = nil }
        let fetched: TrustBundle
        do { fetched = try await plan.fetch() } catch {
            logger.error(
                "server is a stranger, and the bootstrap bundle cannot be had", metadata: ["error": "\(error)"])
            return false
        }
        let current = trust.current
        let added = fetched.x509.authorities.filter { !current.x509.authorities.contains($0) }
        guard fetched.trustDomain == current.trustDomain, !added.isEmpty else {
            logger.error(
                "server is a stranger, and the bootstrap bundle does not know it either",
                metadata: ["hint": "look whether somebody answers in the server's place"])
            return false
        }
        // Both, until the server says itself what holds.
        trust.replace(
            TrustBundle(
                trustDomain: current.trustDomain, x509Authorities: current.x509.authorities + added, jwtAuthorities: [:]
            ))
        logger.warning(
            "server was a stranger; trusting the bootstrap bundle anew", metadata: ["authorities": "\(added.count)"])
        return true
    }
}
