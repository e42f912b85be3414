internal import Platform

/// That an entry asks for a lifetime which its SVIDs do not get, or not always.
package struct LifetimeCut: Hashable, Sendable, CustomStringConvertible {
    /// What cuts it.
    package enum Rule: String, Hashable, Sendable, CaseIterable {
        case entryExpiry = "entry_expiry"
        case parentExpiry = "parent_expiry"
        /// The SVID of the node that asks.
        case agentTTL = "agent_ttl"
        /// The signing authority.
        case authorityTTL = "ca_ttl"
        /// What is above the signing authority.
        case upstream
    }

    package enum Credential: String, Hashable, Sendable {
        case x509 = "X.509-SVID"
        case jwt = "JWT-SVID"
    }

    package let credential: Credential
    package let asked: Duration
    /// The most there is, or what is always left.
    package let longest: Duration
    package let rule: Rule
    /// Whether no SVID ever gets what is asked for; otherwise some do.
    package let isCertain: Bool

    package init(_ credential: Credential, asked: Duration, longest: Duration, by rule: Rule, isCertain: Bool) {
        (self.credential, self.asked, self.longest) = (credential, asked, longest)
        (self.rule, self.isCertain) = (rule, isCertain)
    }

    package var description: String {
        let asked = "\(credential.rawValue) TTL of \(asked.wholeSeconds) s"
        return isCertain
            ? "\(asked) cannot be had: at most \(longest.wholeSeconds) s, because \(reason); ask for less, or \(remedy)"
            : "\(asked) is not always had: \(longest.wholeSeconds) s are, because \(reason); ask for less, or \(remedy)"
    }

    private var reason: String {
        switch (rule, isCertain) {
        case (.entryExpiry, _): "the entry ends then"
        case (.parentExpiry, _): "the entry above it ends then"
        case (.agentTTL, true): "no SVID outlives that of its node"
        case (.agentTTL, false): "a node renews its own SVID when 45% of agent_ttl are left"
        case (.authorityTTL, true): "no SVID outlives the authority that signs it"
        case (.authorityTTL, false): "an authority signs until a sixth of ca_ttl is left, nodes' own SVIDs as well"
        case (.upstream, _): "the upstream authority leaves no more to the one that signs"
        }
    }

    private var remedy: String {
        switch rule {
        case .entryExpiry: "move the entry's expiry"
        case .parentExpiry: "move the expiry of the entry above it"
        case .agentTTL: "raise agent_ttl"
        case .authorityTTL: "raise ca_ttl"
        case .upstream: "have the upstream sign for longer"
        }
    }
}
