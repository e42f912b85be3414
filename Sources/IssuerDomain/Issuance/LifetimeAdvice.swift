internal import Platform

/// Which configured lifetimes authorities will cut short.
package struct LifetimeAdvice: Hashable, Sendable, CustomStringConvertible {
    /// What is too long: `x509_svid_ttl`, `jwt_svid_ttl` or `agent_ttl`.
    package let setting: String
    package let configured: Duration
    /// The longest that is never cut short.
    package let longest: Duration

    /// Compares the lifetimes of SVIDs with that of authorities.
    ///
    /// An authority signs until a sixth of its life, or a week, is left. What lives no longer than that is always whole.
    ///
    /// - Returns: What is too long; empty when nothing is.
    package static func all(
        about svids: SVIDIssuer.Settings, under authorities: AuthorityKeeper.Settings
    ) -> [LifetimeAdvice] {
        let longest = AuthoritySchedule.longestWholeSVID(under: authorities.lifetime)
        return [
            ("x509_svid_ttl", svids.x509TTL), ("jwt_svid_ttl", svids.jwtTTL), ("agent_ttl", svids.agentTTL),
        ].filter { $0.1 > longest }.map { LifetimeAdvice(setting: $0.0, configured: $0.1, longest: longest) }
    }

    package var description: String {
        "\(setting) of \(configured.wholeSeconds) s is longer than what authorities always have left "
            + "(\(longest.wholeSeconds) s: a sixth of ca_ttl, a week at most), so some SVIDs will be shorter"
    }
}
