package import Foundation
package import Logging
package import Platform

extension AuthorityKeeper {
    /// Follows what the upstream trusts until cancelled; returns at once where there is none.
    ///
    /// A root that the upstream calls tainted makes this server ask for a new authority under another root at once.
    ///
    /// - Parameters:
    ///   - clock: The time.
    ///   - entropy: For what is made.
    ///   - logger: Told of what could not be taken over; the next update is another chance.
    package func followUpstream(clock: any WallClock, using entropy: some Entropy, logger: Logger) async {
        guard let upstream = maker.upstream else { return }
        await publishAgain(now: clock.now, logger: logger)
        for await trust in upstream.updates() {
            do throws(AuthorityError) {
                try await adopt(trust, now: clock.now)
                try await tend(now: clock.now, mayForget: false, using: entropy)
            } catch {
                logger.error("upstream authority not followed", metadata: ["error": "\(error)"])
            }
            if lacksOwnKey(trust) { await publishAgain(now: clock.now, logger: logger) }
        }
    }

    /// Takes over what the upstream trusts.
    ///
    /// - Throws: ``AuthorityError``; then nothing changed.
    package func adopt(_ trust: UpstreamTrust, now: Date) async throws(AuthorityError) {
        try await change { [server] draft throws(AuthorityError) in
            do throws(AuthorityRefusal) {
                self.see(try draft.adopt(trust, now: now, server: server))
                try draft.drop(self.missingRoots(of: draft.records, now: now), now: now, server: server)
            } catch { throw .upstream(.badAnswer(detail: "\(error)")) }
        }
    }

    /// Whether an upstream that publishes JWT keys leaves out one with which this server signs, or is about to.
    private func lacksOwnKey(_ trust: UpstreamTrust) -> Bool {
        guard let published = trust.jwtKeys.map({ Set($0.map(\.keyID)) }) else { return false }
        let standing = snapshot.standing(.jwt)
        return [standing.active, standing.prepared].compactMap(\.self).contains { !published.contains($0.id) }
    }

    /// Tells an upstream that may have forgotten them the JWT keys of this server.
    private func publishAgain(now: Date, logger: Logger) async {
        do throws(AuthorityError) {
            try await change { [maker, server] draft throws(AuthorityError) in
                for record in draft.own(.jwt, of: server) where record.state == .active || record.state == .prepared {
                    try await maker.publish(record, in: &draft, now: now)
                }
            }
        } catch {
            logger.warning("jwt authorities not published upstream", metadata: ["error": "\(error)"])
        }
    }
}
