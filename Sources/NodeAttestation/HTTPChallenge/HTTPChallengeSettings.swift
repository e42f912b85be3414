/// Which hosts `http_challenge` asks, and how far it trusts what they say.
package struct HTTPChallengeSettings: Sendable {
    /// Whom to ask; never empty.
    ///
    /// A server that calls whatever a stranger names is a way into networks that the stranger
    /// does not reach.
    package let patterns: [HostPattern]
    /// The one port that is asked; nil for any that ``allowsHighPorts`` allows.
    package let requiredPort: Int?
    /// Whether ports that need no privilege to listen on may be asked.
    package let allowsHighPorts: Bool
    /// Whether a host is let in once only, until it is evicted.
    package let isFirstUseOnly: Bool

    /// Whether a host name may lead to this very machine.
    package var allowsLoopback = false

    /// Judges settings: nil without patterns, or when a host that anybody on it can speak for would be believed again
    /// and again.
    package init?(
        patterns: [HostPattern], requiredPort: Int? = nil, allowsHighPorts: Bool = true, isFirstUseOnly: Bool = true
    ) {
        guard !patterns.isEmpty else { return nil }
        let anybodyAnswers = requiredPort.map { $0 >= Self.firstHighPort } ?? allowsHighPorts
        guard isFirstUseOnly || !anybodyAnswers else { return nil }
        (self.patterns, self.requiredPort) = (patterns, requiredPort)
        (self.allowsHighPorts, self.isFirstUseOnly) = (allowsHighPorts, isFirstUseOnly)
    }

    /// The first port that needs no privilege.
    static let firstHighPort = 1024
}
