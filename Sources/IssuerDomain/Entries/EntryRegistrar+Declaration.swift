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
    ///   - now: The time.
    ///   - entropy: For the IDs of new entries.
    /// - Returns: The plan. Nothing was changed when it has problems, is not the expected one, or was only asked for.
    /// - Throws: ``StoreError``; then nothing was changed.
    package func apply(
        _ declaration: Declaration, isDryRun: Bool, expecting expected: String? = nil, now: Date,
        using entropy: some Entropy
    ) async throws(StoreError) -> DeclarationOutcome {
        // Two who declare at once must each see what the other did.
        try await writing.pass { () async throws(StoreError) in
            var entropy = entropy
            let index = self.read { $0 }
            var plan = EntryPlan(
                declaration, index: index, trustDomain: self.trustDomain, defaults: self.defaults, now: now,
                using: &entropy)
            if !isDryRun, let expected, expected != plan.fingerprint { plan.noteChangedMeanwhile() }
            let mayApply = !isDryRun && plan.problems.isEmpty
            if mayApply { try await self.commit(plan.changes) }
            return DeclarationOutcome(
                plan: plan, isApplied: mayApply, findings: EntryLint.findings(for: plan, in: index))
        }
    }
}

extension EntryPlan {
    /// Refuses a plan that is not the one that somebody agreed to.
    mutating func noteChangedMeanwhile() {
        refuse(Problem(source: "", message: "entries have changed since the plan was made; look at the new one"))
    }
}
