internal import Foundation
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// Makes entries what documents declare, for admins and for the watched folder alike.
struct Declarer: Sendable {
    private static let maximumProblems = 1000
    /// Bytes of steps in one message, about; with problems and findings it stays below what gRPC clients take by default.
    private static let maximumStepBytes = 2 << 20

    let entries: EntryRegistrar
    let clock: any WallClock
    let logger: Logger

    /// Applies what was read; nothing when anything is wrong with it.
    ///
    /// - Throws: `StoreError`; then nothing was changed.
    func apply(
        _ reader: ManifestReader, keeper: String, prunes: Bool, adopts: Bool, isDryRun: Bool, expecting: String?,
        agents: [AttestedAgent]? = nil
    ) async throws(StoreError) -> Mintmark_V1_ApplyResponse {
        let declaration = Declaration(
            entries: reader.entries, keeper: keeper, prunes: prunes, adopts: adopts)
        let hasProblems = !reader.problems.isEmpty
        let outcome = try await entries.apply(
            declaration, isDryRun: isDryRun || hasProblems, expecting: expecting, agents: agents,
            now: clock.now, using: SystemEntropy())
        if outcome.isApplied { record(outcome.plan) }
        let problems = reader.problems + outcome.plan.problems
        return .with {
            $0.problems = problems.prefix(Self.maximumProblems).map { Mintmark_V1_Problem($0) }
            if problems.count > Self.maximumProblems {
                $0.problems.append(.with { $0.message = "and \(problems.count - Self.maximumProblems) more" })
            }
            $0.findings = outcome.findings.map { Mintmark_V1_Finding($0) }
            $0.applied = outcome.isApplied
            // A plan that is made of half of what was meant would mislead.
            guard !hasProblems else { return }
            $0.steps = Self.told(outcome.plan.steps)
            $0.omitted = UInt32(clamping: outcome.plan.steps.count - $0.steps.count)
            $0.count(outcome.plan.steps)
            $0.unchanged = UInt32(clamping: outcome.plan.unchanged)
            $0.plan = outcome.plan.fingerprint
        }
    }

    /// As many steps as fit into a message.
    private static func told(_ steps: [EntryPlan.Step]) -> [Mintmark_V1_ApplyResponse.Step] {
        var (told, bytes): ([Mintmark_V1_ApplyResponse.Step], Int) = ([], 0)
        for step in steps {
            let step = Mintmark_V1_ApplyResponse.Step(step)
            bytes += step.approximateSize
            guard bytes <= maximumStepBytes else { break }
            told.append(step)
        }
        return told
    }

    private func record(_ plan: EntryPlan) {
        for step in plan.steps {
            switch step {
            case .create(let entry, _): EntryAudit.record("entry created", entry, of: entries, now: clock.now, logger)
            case .update(let entry, _, _):
                EntryAudit.record("entry updated", entry, of: entries, now: clock.now, logger)
            case .delete(let entry): logger.info("entry deleted", metadata: ["entry.id": "\(entry.id)"])
            }
        }
    }
}

extension Mintmark_V1_ApplyResponse {
    /// Says how many steps of each kind there are, also of those that are not told.
    fileprivate mutating func count(_ steps: [EntryPlan.Step]) {
        for step in steps {
            switch step {
            case .create: creations += 1
            case .update: updates += 1
            case .delete: deletions += 1
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
                    $0.before = Self.cut(change.before)
                    $0.after = Self.cut(change.after)
                }
            }
        case .delete(let entry):
            action = .delete
            id = entry.id
            spiffeID = "\(entry.contents.spiffeID)"
        }
    }
}

extension Mintmark_V1_ApplyResponse.Step {
    /// Bytes of one field that are told.
    private static let maximumText = 512

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > maximumText else { return text }
        return String(decoding: text.utf8.prefix(maximumText), as: UTF8.self) + "…"
    }

    /// Bytes on the wire, about.
    fileprivate var approximateSize: Int {
        changes.reduce(source.utf8.count + id.utf8.count + spiffeID.utf8.count + 16) {
            $0 + $1.field.utf8.count + $1.before.utf8.count + $1.after.utf8.count + 8
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
