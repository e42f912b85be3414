package import Foundation
internal import Platform
package import SPIFFE
internal import Synchronization

/// What this node serves from: one consistent view, and a tick to all who wait whenever it is replaced.
package final class AgentState: Sendable {
    /// One view.
    package struct View: Sendable {
        package var entries: [String: AuthorizedEntry] = [:] {
            didSet { entriesRevision &+= 1 }
        }
        package var matcher = EntryMatcher()
        package var svids: [SVIDSlot: HeldX509SVID] = [:]
        package var bundle: TrustBundle?
        /// The bundles of the domains that entries federate with, as far as the issuer has them.
        package var federated: [TrustDomain: TrustBundle] = [:]
        /// Authorities of the bundle whose signatures are to be replaced.
        package var tainted = TaintedAuthorities()
        /// Grows with each replacement of the view.
        package fileprivate(set) var revision: UInt64 = 0
        /// Grows with each replacement of the entries.
        package private(set) var entriesRevision: UInt64 = 0
        /// When the issuer was last heard, if ever.
        package var lastSync: Date?
        /// How many connections each process has, for those that have any.
        package fileprivate(set) var connections: [String: Int] = [:]

        package init() {}

        /// How long the issuer may be silent before a node with nothing to hand out is no longer of use.
        package static let patience = Duration.seconds(600)

        /// The bundles that the holder of some entries believes beside the node's own, in the order of their domains.
        package func federated(with entries: some Sequence<AuthorizedEntry>) -> [TrustBundle] {
            guard !federated.isEmpty else { return [] }
            return Set(entries.flatMap(\.federatesWith)).sorted().compactMap { federated[$0] }
        }

        /// Whether workloads can be served: something valid is held, or the issuer was heard a short while ago.
        package func isServing(at now: Date) -> Bool {
            guard bundle != nil, let lastSync else { return false }
            if svids.values.contains(where: { $0.validity.contains(now) }) { return true }
            return svids.isEmpty && now.timeIntervalSince(lastSync) < Self.patience.timeInterval
        }
    }

    private struct Guarded {
        var view = View()
        var jwts = JWTCache()
        var listeners: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var nextListener: UInt64 = 0
    }

    private let guarded = Mutex(Guarded())

    package init() {}

    /// The view now.
    package var view: View { guarded.withLock { $0.view } }

    /// Replaces the view and ticks.
    package func update<Value>(_ change: (inout View) -> sending Value) -> sending Value {
        guarded.withLock { guarded in
            let value = change(&guarded.view)
            guarded.view.revision &+= 1
            for listener in guarded.listeners.values { listener.yield() }
            return value
        }
    }

    /// Notes that the issuer was heard, which wakes nobody.
    package func noteSync(at now: Date) { guarded.withLock { $0.view.lastSync = now } }

    /// Notes that a process has connected, which wakes nobody.
    package func noteConnection(of instance: String) {
        guarded.withLock { $0.view.connections[instance, default: 0] += 1 }
    }

    /// Notes that a connection has ended; with its last one a process leaves the keys that were its own.
    package func noteDisconnection(of instance: String) {
        guarded.withLock { guarded in
            let rest = (guarded.view.connections[instance] ?? 1) - 1
            guarded.view.connections[instance] = rest > 0 ? rest : nil
            guard rest <= 0, guarded.view.svids.keys.contains(where: { $0.instance == instance }) else { return }
            guarded.view.svids = guarded.view.svids.filter { $0.key.instance != instance }
            // Messages that were made of the old view, with its keys, are not kept for this one.
            guarded.view.revision &+= 1
        }
    }

    /// Works on the token cache.
    package func withJWTs<Value>(_ body: (inout JWTCache) -> sending Value) -> sending Value {
        guarded.withLock { body(&$0.jwts) }
    }

    /// Ticks after every replacement; the newest tick is kept while the listener is busy.
    ///
    /// - Parameter startingWithOne: Whether the first tick comes at once.
    /// - Returns: The caller's own stream; it goes on until the caller drops it.
    package func ticks(startingWithOne: Bool = false) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = guarded.withLock {
            $0.nextListener += 1
            $0.listeners[$0.nextListener] = continuation
            return $0.nextListener
        }
        if startingWithOne { continuation.yield() }
        continuation.onTermination = { [weak self] _ in
            self?.guarded.withLock { $0.listeners[number] = nil }
        }
        return stream
    }
}
