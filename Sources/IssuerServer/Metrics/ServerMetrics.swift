internal import Bootstrap
internal import Foundation
internal import IssuerDomain
internal import Platform
internal import SPIFFE

/// What a server measures of itself.
struct ServerMetrics: Sendable {
    let counters: ServerCounters
    let budgets: CallBudgets
    let authorities: AuthorityKeeper
    let entries: EntryRegistrar
    let agents: AgentRegistrar
    let storeErrors: @Sendable () -> UInt64
    let clock: any WallClock

    /// Everything as it is now.
    var text: String {
        var metrics = MetricsText()
        addCalls(to: &metrics)
        addBudgets(to: &metrics)
        addGauges(to: &metrics)
        return metrics.text
    }

    private func addCalls(to metrics: inout MetricsText) {
        let values = counters.values
        metrics.add(
            "mintmark_calls_total", .counter, "Calls that ended, by method and gRPC code.",
            values.calls.map { ([("method", $0.method), ("code", $0.code)], "\($1)") })
        metrics.add(
            "mintmark_credentials_total", .counter,
            "Credentials issued and denied, by kind and by the rule that set their end.",
            values.credentials.map { credential, count in
                let labels = [
                    ("kind", credential.kind), ("outcome", credential.outcome.rawValue),
                    ("limited_by", credential.limit?.rawValue ?? ""),
                ]
                return (labels, "\(count)")
            })
        metrics.add(
            "mintmark_attestations_total", .counter, "Nodes that wanted to be let in, by type of proof.",
            values.attestations.map { ([("type", $0.type), ("outcome", $0.outcome.rawValue)], "\($1)") })
    }

    private func addBudgets(to metrics: inout MetricsText) {
        let counted = budgets.countersByClass.flatMap { budget, classes in
            classes.map { (labels: [("budget", budget.rawValue), ("class", $0.rawValue)], counters: $1) }
        }
        metrics.add(
            "mintmark_budget_admitted_total", .counter, "Charges that a caller's budget admitted.",
            counted.map { ($0.labels, "\($0.counters.admitted)") })
        metrics.add(
            "mintmark_budget_refused_total", .counter, "Charges that a caller's budget refused.",
            counted.map { ($0.labels, "\($0.counters.refused)") })
        metrics.add(
            "mintmark_budget_shared_total", .counter, "Charges of callers that were not told apart.",
            counted.map { ($0.labels, "\($0.counters.shared)") })
        metrics.add(
            "mintmark_budget_tracked_callers", .gauge, "Callers that have spent some of a budget.",
            budgets.counters.map { ([("budget", $0.rawValue)], "\($1.trackedCallers)") })
    }

    private func addGauges(to metrics: inout MetricsText) {
        let (now, snapshot) = (clock.now, authorities.snapshot)
        metrics.add(
            "mintmark_authority_remaining_seconds", .gauge, "How long the authorities that sign still hold.",
            [("x509", snapshot.x509.record.notAfter), ("jwt", snapshot.jwt.record.notAfter)].map { kind, end in
                ([("kind", kind)], "\(Int64(exactly: end.timeIntervalSince(now).rounded(.down)) ?? 0)")
            })
        metrics.add("mintmark_entries", .gauge, "Entries that are registered.", entries.read { $0.count })
        let known = agents.all
        metrics.add(
            "mintmark_agents", .gauge, "Agents that were let in.",
            [
                ("active", known.count { !$0.isBanned && $0.expiresAt > now }),
                ("expired", known.count { !$0.isBanned && $0.expiresAt <= now }),
                ("banned", known.count { $0.isBanned }),
            ].map { ([("state", $0)], "\($1)") })
        metrics.add(
            "mintmark_store_errors_total", .counter, "How often the store did not do what it was asked.", storeErrors())
    }
}
