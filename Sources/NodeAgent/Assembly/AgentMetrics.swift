internal import AgentDomain
internal import Bootstrap
internal import Foundation
internal import Platform
internal import Synchronization
internal import WorkloadSocket

/// How often this agent and its issuer have come to terms.
final class SyncCounters: Sendable {
    struct Values {
        var succeeded: UInt64 = 0
        var failed: UInt64 = 0
    }

    private let guarded = Mutex(Values())

    var values: Values { guarded.withLock { $0 } }

    func noteSuccess() { guarded.withLock { $0.succeeded &+= 1 } }

    func noteFailure() { guarded.withLock { $0.failed &+= 1 } }
}

/// What a node agent measures of itself: numbers by labels of which there are few, never by workload.
struct AgentMetrics: Sendable {
    let state: AgentState
    let syncs: SyncCounters
    let sockets: [(name: String, counters: @Sendable () -> SocketCounters?)]
    /// When the agent's own SVID ends; nil before it has one.
    let identityEnd: @Sendable () -> Date?
    let clock: any WallClock
    let startedAt: Date

    /// Everything as it is now.
    var text: String {
        var metrics = MetricsText()
        addStanding(to: &metrics)
        addSockets(to: &metrics)
        return metrics.text
    }

    private func addStanding(to metrics: inout MetricsText) {
        let (now, view) = (clock.now, state.view)
        metrics.add(
            "mintmark_agent_uptime_seconds", .gauge, "How long the agent has been running.",
            Self.seconds(now, startedAt))
        metrics.add(
            "mintmark_agent_syncs_total", .counter, "Rounds with the issuer, by what came of them.",
            [("ok", syncs.values.succeeded), ("failed", syncs.values.failed)].map { ([("outcome", $0)], "\($1)") })
        metrics.add("mintmark_agent_entries", .gauge, "Entries that this agent may serve.", view.entries.count)
        metrics.add(
            "mintmark_agent_svids", .gauge, "SVIDs that are held for workloads, by kind.",
            [
                ("x509", view.svids.count { $0.value.validity.upperBound > now }),
                ("jwt", state.withJWTs { $0.count }),
            ].map { ([("kind", $0)], "\($1)") })
        metrics.add(
            "mintmark_agent_serving", .gauge, "Whether workloads are served: 1 or 0.", view.isServing(at: now) ? 1 : 0)
        // Left out before the first: no number would be true.
        if let last = view.lastSync {
            metrics.add(
                "mintmark_agent_last_sync_age_seconds", .gauge, "How long ago the issuer was last heard.",
                Self.seconds(now, last))
        }
        if let end = identityEnd() {
            metrics.add(
                "mintmark_agent_svid_remaining_seconds", .gauge, "How long the agent's own SVID still holds.",
                Self.seconds(end, now))
        }
    }

    private func addSockets(to metrics: inout MetricsText) {
        let counted = sockets.compactMap { socket in socket.counters().map { (name: socket.name, counters: $0) } }
        metrics.add(
            "mintmark_agent_connections", .gauge, "Connections at the moment, by socket.",
            counted.map { ([("socket", $0.name)], "\($0.counters.open)") })
        metrics.add(
            "mintmark_agent_connections_accepted_total", .counter, "Connections taken, by socket.",
            counted.map { ([("socket", $0.name)], "\($0.counters.accepted)") })
        metrics.add(
            "mintmark_agent_connections_refused_total", .counter, "Connections not taken, by socket and reason.",
            counted.flatMap { socket in
                socket.counters.refused.map { reason, count in
                    ([("socket", socket.name), ("reason", reason.rawValue)], "\(count)")
                }
            })
        metrics.add(
            "mintmark_agent_calls_total", .counter, "Calls of workloads that ended, by method and gRPC code.",
            counted.flatMap { socket in
                socket.counters.calls.map { call, count in
                    let labels = [
                        ("socket", socket.name), ("method", call.method.map { ServedMethod.name($0) } ?? "other"),
                        ("code", "\(call.code)"),
                    ]
                    return (labels, "\(count)")
                }
            })
    }

    private static func seconds(_ later: Date, _ earlier: Date) -> Int64 {
        Int64(exactly: later.timeIntervalSince(earlier).rounded(.down)) ?? 0
    }
}
