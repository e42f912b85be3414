internal import Platform

/// Which configured lifetimes authorities, or the SVIDs of nodes, will cut short.
package struct LifetimeAdvice: Hashable, Sendable, CustomStringConvertible {
    /// What is too long: `x509_svid_ttl`, `jwt_svid_ttl` or `agent_ttl`.
    package let setting: String
    package let configured: Duration
    /// The longest that is never cut short.
    package let longest: Duration
    /// Whether it is the SVID of the node that ends first.
    private let isNodes: Bool

    /// Compares the lifetimes of SVIDs with those of authorities and of nodes' own SVIDs.
    ///
    /// An authority signs until a sixth of its life, or a week, is left. A node renews its SVID at the latest when 45% of it
    /// are left, and no SVID of its workloads ends after it. What lives no longer than that is always whole.
    ///
    /// - Returns: What is too long; empty when nothing is.
    package static func all(
        about svids: SVIDIssuer.Settings, under authorities: AuthorityKeeper.Settings
    ) -> [LifetimeAdvice] {
        let longest = AuthoritySchedule.longestWholeSVID(under: authorities.lifetime)
        let ofNodes = min(longest, svids.agentTTL) * 9 / 20
        let workloads = [("x509_svid_ttl", svids.x509TTL), ("jwt_svid_ttl", svids.jwtTTL)]
            .filter { $0.1 > ofNodes }
            .map { LifetimeAdvice(setting: $0.0, configured: $0.1, longest: ofNodes, isNodes: $0.1 <= longest) }
        guard svids.agentTTL > longest else { return workloads }
        return workloads + [
            LifetimeAdvice(setting: "agent_ttl", configured: svids.agentTTL, longest: longest, isNodes: false)
        ]
    }

    package var description: String {
        "\(setting) of \(configured.wholeSeconds) s is longer than what "
            + (isNodes
                ? "the SVID of a node always has left (\(longest.wholeSeconds) s: 45% of agent_ttl"
                : "authorities always have left (\(longest.wholeSeconds) s: a sixth of ca_ttl")
            + (setting == "agent_ttl" || isNodes ? "" : ", less 55% before a node renews its own SVID")
            + "), so some SVIDs will be shorter"
    }
}
