package import Foundation
package import Platform

extension EntryRegistrar {
    /// What became of a declaration.
    package struct DeclarationOutcome: Sendable {
        package let plan: EntryPlan
        package let isApplied: Bool
        package let findings: [EntryFinding]
    }

    /// Makes the store say what is declared, in one transaction.
    ///
    /// - Parameters:
    ///   - declaration: What is wanted.
    ///   - isDryRun: Whether it is only asked what would happen.
    ///   - expected: The fingerprint of the plan that somebody has seen; nil when nobody has to see it first.
    ///   - agents: Those that were let in; nil where nobody is to look at what they could serve.
    ///   - now: The time.
    ///   - entropy: For the IDs of new entries.
    /// - Returns: The plan. Nothing was changed when it has problems, is not the expected one, or was only asked for.
    /// - Throws: ``StoreError``; then nothing was changed.
    package func apply(
        _ declaration: Declaration, isDryRun: Bool, expecting expected: String? = nil,
        agents: [AttestedAgent]? = nil, now: Date, using entropy: some Entropy
    ) async throws(StoreError) -> DeclarationOutcome {
        let (plan, index) =
            if isDryRun {
                // Whoever only asks holds up nobody who writes.
                planned(declaration, now: now, using: entropy)
            } else {
                // Two who declare at once must each see what the other did.
                try await writing.pass { () async throws(StoreError) in
                    var (plan, index) = self.planned(declaration, now: now, using: entropy)
                    if let expected, expected != plan.fingerprint { plan.noteChangedMeanwhile() }
                    if plan.problems.isEmpty { try await self.commit(plan.changes) }
                    return (plan, index)
                }
            }
        return DeclarationOutcome(
            plan: plan, isApplied: !isDryRun && plan.problems.isEmpty,
            findings: EntryLint.findings(for: plan, in: index, agents: agents, lifetimes: lifetimes(now)))
    }

    private func planned(
        _ declaration: Declaration, now: Date, using entropy: some Entropy
    ) -> (EntryPlan, EntryIndex) {
        var entropy = entropy
        let index = read { $0 }
        let plan = EntryPlan(
            declaration, index: index, trustDomain: trustDomain, defaults: defaults, maximumEntries: maximumEntries,
            holdsBundle: holdsBundle, now: now, using: &entropy)
        return (plan, index)
    }
}

extension EntryPlan {
    /// Refuses a plan that is not the one that somebody agreed to.
    mutating func noteChangedMeanwhile() {
        refuse(Problem(source: "", message: "entries have changed since the plan was made; look at the new one"))
    }
}
