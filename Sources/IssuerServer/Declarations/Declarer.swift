internal import Foundation
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// Makes entries what documents declare, for admins and for the watched folder alike.
struct Declarer: Sendable {
    let entries: EntryRegistrar
    let clock: any WallClock
    let logger: Logger

    /// Applies what was read; nothing when anything is wrong with it.
    ///
    /// - Throws: `StoreError`; then nothing was changed.
    func apply(
        _ reader: ManifestReader, keeper: String, prunes: Bool, adopts: Bool, isDryRun: Bool, expecting: String?
    ) async throws(StoreError) -> Mintmark_V1_ApplyResponse {
        let declaration = Declaration(
            entries: reader.entries, keeper: keeper, prunes: prunes, adopts: adopts)
        let hasProblems = !reader.problems.isEmpty
        let outcome = try await entries.apply(
            declaration, isDryRun: isDryRun || hasProblems, expecting: expecting, now: clock.now,
            using: SystemEntropy())
        if outcome.isApplied { record(outcome.plan) }
        let problems = reader.problems + outcome.plan.problems
        return .with {
            $0.problems = problems.map { Mintmark_V1_Problem($0) }
            $0.findings = outcome.findings.map { Mintmark_V1_Finding($0) }
            $0.applied = outcome.isApplied
            // A plan that is made of half of what was meant would mislead.
            guard !hasProblems else { return }
            $0.steps = outcome.plan.steps.map { Mintmark_V1_ApplyResponse.Step($0) }
            $0.unchanged = UInt32(clamping: outcome.plan.unchanged)
            $0.plan = outcome.plan.fingerprint
        }
    }

    private func record(_ plan: EntryPlan) {
        for step in plan.steps {
            switch step {
            case .create(let entry, _): EntryAudit.record("entry created", entry, logger)
            case .update(let entry, _, _): EntryAudit.record("entry updated", entry, logger)
            case .delete(let entry): logger.info("entry deleted", metadata: ["entry.id": "\(entry.id)"])
            }
        }
    }
}

extension Mintmark_V1_ApplyResponse.Step {
    init(_ step: EntryPlan.Step) {
        self.init()
        switch step {
        case .create(let entry, let source):
            action = .create
            self.source = source
            spiffeID = "\(entry.contents.spiffeID)"
        case .update(let entry, let source, let changes):
            action = .update
            self.source = source
            id = entry.id
            spiffeID = "\(entry.contents.spiffeID)"
            self.changes = changes.map { change in
                .with {
                    $0.field = change.field
                    $0.before = change.before
                    $0.after = change.after
                }
            }
        case .delete(let entry):
            action = .delete
            id = entry.id
            spiffeID = "\(entry.contents.spiffeID)"
        }
    }
}

extension Mintmark_V1_Problem {
    init(_ problem: EntryPlan.Problem) {
        self.init()
        source = problem.source
        message = problem.message
        canForce = problem.canBeForced
    }
}

extension Mintmark_V1_Finding {
    init(_ finding: EntryFinding) {
        self.init()
        kind = finding.kind.rawValue
        entries = finding.entries
        message = finding.message
    }
}
