internal import Synchronization

/// What one call has brought about and nobody has written down yet.
package final class IssuanceTrail: Sendable {
    private let facts = Mutex<[IssuanceFact]>([])
    private let total = Mutex(0)

    package init() {}

    /// The trail of the call under way; nil for a call that issues nothing, and for the server's own upkeep.
    ///
    /// Set where calls come in and asked where credentials are signed, so that no way from one to the other can forget it.
    @TaskLocal package static var current: IssuanceTrail?

    /// Whether anything was noted, written down or not.
    package var isEmpty: Bool { total.withLock { $0 == 0 } }

    /// Adds a fact.
    package func note(_ fact: IssuanceFact) {
        total.withLock { $0 += 1 }
        facts.withLock { $0.append(fact) }
    }

    /// Takes what was not written down yet.
    package func take() -> [IssuanceFact] {
        facts.withLock { facts in
            defer { facts = [] }
            return facts
        }
    }
}
