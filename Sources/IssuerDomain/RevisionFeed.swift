package import SPIFFE
internal import Synchronization

/// Tells followers that something changed, and remembers what each of them has applied.
///
/// A revision is the number of the last change in the store's log; nobody needs the ones between.
package final class RevisionFeed: Sendable {
    private struct State {
        var revision: UInt64 = 0
        var applied: [SPIFFEID: UInt64] = [:]
        var followers: [SPIFFEID: Int] = [:]
        var listeners: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var nextListener: UInt64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// The last revision announced.
    package var revision: UInt64 { state.withLock { $0.revision } }

    /// Announces a revision; an older one is ignored.
    package func announce(_ revision: UInt64) {
        state.withLock {
            guard revision > $0.revision else { return }
            $0.revision = revision
            for listener in $0.listeners.values { listener.yield() }
        }
    }

    /// Ticks without a change, so that followers are looked at again: one of them was banned or evicted.
    package func recheck() {
        state.withLock { for listener in $0.listeners.values { listener.yield() } }
    }

    /// Notes that an agent follows, until ``endFollowing(_:)``.
    package func beginFollowing(_ agent: SPIFFEID) {
        state.withLock {
            $0.followers[agent, default: 0] += 1
            for listener in $0.listeners.values { listener.yield() }
        }
    }

    /// Notes that one of an agent's connections is over.
    package func endFollowing(_ agent: SPIFFEID) {
        state.withLock {
            let rest = ($0.followers[agent] ?? 1) - 1
            $0.followers[agent] = rest > 0 ? rest : nil
            if rest <= 0 { $0.applied[agent] = nil }
            for listener in $0.listeners.values { listener.yield() }
        }
    }

    /// Notes what an agent has applied.
    package func applied(_ revision: UInt64, by agent: SPIFFEID) {
        state.withLock {
            $0.applied[agent] = max(revision, $0.applied[agent] ?? 0)
            for listener in $0.listeners.values { listener.yield() }
        }
    }

    /// What is known of some agents.
    package func standing(of agents: [SPIFFEID]) -> [AgentStanding] {
        state.withLock { state in
            agents.map {
                AgentStanding(id: $0, applied: state.applied[$0], isFollowing: state.followers[$0] != nil)
            }
        }
    }

    /// Ticks after every change of anything above; the newest tick is kept while the listener is busy.
    ///
    /// - Parameter startingWithOne: Whether the first tick comes at once.
    /// - Returns: The caller's own stream; it goes on until the caller drops it.
    package func ticks(startingWithOne: Bool = false) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock {
            $0.nextListener += 1
            $0.listeners[$0.nextListener] = continuation
            return $0.nextListener
        }
        if startingWithOne { continuation.yield() }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.listeners[number] = nil }
        }
        return stream
    }
}

/// How far one agent has come.
package struct AgentStanding: Hashable, Sendable {
    package let id: SPIFFEID
    package let applied: UInt64?
    package let isFollowing: Bool
}
