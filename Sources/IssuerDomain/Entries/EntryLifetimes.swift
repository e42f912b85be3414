package import Foundation
internal import Platform
internal import SPIFFE

/// What decides how long SVIDs of entries can live: how the server is configured, and what its upstream leaves it.
package struct EntryLifetimes: Hashable, Sendable {
    private let agentTTL: Duration
    private let authorityTTL: Duration
    /// How long the X.509 authority lives, where that is less than configured.
    private let upstreamLeaves: Duration?
    private let now: Date

    /// Looks at what there is.
    ///
    /// - Parameters:
    ///   - svids: How long SVIDs of nodes live.
    ///   - authorities: How long authorities are meant to live.
    ///   - signing: The X.509 authority that signs.
    ///   - now: The time.
    package init(
        svids: SVIDIssuer.Settings, authorities: AuthorityKeeper.Settings, signing: AuthorityRecord, now: Date
    ) {
        (agentTTL, authorityTTL, self.now) = (svids.agentTTL, authorities.lifetime, now)
        let lives = Duration.seconds(signing.notAfter.timeIntervalSince(signing.notBefore))
        upstreamLeaves = signing.upstreamKeyID != nil && lives < authorityTTL ? lives : nil
    }

    /// Which lifetimes that an entry asks for are cut.
    ///
    /// - Parameters:
    ///   - contents: Of the entry; what it leaves to the server's defaults is not judged, the server warns of those itself.
    ///   - end: When the last entry above it ends; nil when one has no end, or there is none.
    /// - Returns: One for each lifetime at most.
    package func cuts(of contents: EntryContents, above end: Date? = nil) -> [LifetimeCut] {
        // Nodes get no SVID of their alias.
        guard contents.parentID.path != "/spire/server" else { return [] }
        return [
            contents.x509TTL.flatMap { cut(.x509, $0, contents, end) },
            contents.jwtTTL.flatMap { cut(.jwt, $0, contents, end) },
        ].compactMap(\.self)
    }

    private func cut(
        _ credential: LifetimeCut.Credential, _ asked: Duration, _ contents: EntryContents, _ end: Date?
    ) -> LifetimeCut? {
        let authority = credential == .x509 ? upstreamLeaves ?? authorityTTL : authorityTTL
        let authorityRule: LifetimeCut.Rule = authority < authorityTTL ? .upstream : .authorityTTL
        let start = max(now, contents.details.notBefore ?? now)
        let limits: [(longest: Duration, rule: LifetimeCut.Rule)] = [
            contents.expiresAt.map { (.seconds(max(0, $0.timeIntervalSince(start).rounded(.up))), .entryExpiry) },
            end.map { (.seconds(max(0, $0.timeIntervalSince(start).rounded(.up))), .parentExpiry) },
            // A downstream server's authority is its own concern, not its node's.
            contents.isDownstream ? nil : (agentTTL, .agentTTL), (authority, authorityRule),
        ].compactMap(\.self)
        if let hardest = limits.min(by: { $0.longest < $1.longest }), hardest.longest < asked {
            return LifetimeCut(credential, asked: asked, longest: hardest.longest, by: hardest.rule, isCertain: true)
        }
        guard !contents.isDownstream else { return nil }
        let whole = AuthoritySchedule.longestWholeSVID(under: authority)
        let always = min(whole, agentTTL) * 9 / 20
        guard asked > always else { return nil }
        return LifetimeCut(
            credential, asked: asked, longest: always, by: agentTTL <= whole ? .agentTTL : authorityRule,
            isCertain: false)
    }
}

extension EntryIndex {
    /// When the last of the entries ends that give an identity; nil when there is none, or one has no end.
    func end(of identity: SPIFFEID) -> Date? {
        let ends = entries(of: identity).map { $0.contents.expiresAt ?? .distantFuture }
        return ends.max().flatMap { $0 == .distantFuture ? nil : $0 }
    }
}
