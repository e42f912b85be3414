package import IssuerAPIProtos
internal import SPIFFE

/// Shows what a declaration comes to.
package enum ApplyRendering {
    package static func rendering(_ answer: Mintmark_V1_ApplyResponse, isDryRun: Bool) -> Rendering {
        Rendering(
            .members([
                "applied": .bool(answer.applied),
                "created": .integer(answer.creations),
                "updated": .integer(answer.updates),
                "deleted": .integer(answer.deletions),
                "unchanged": .integer(answer.unchanged),
                "steps": .array(answer.steps.map(value)),
                "omitted": .integer(answer.omitted),
                "findings": .array(answer.findings.map(value)),
            ]), table: isDryRun ? plan(answer) : "\(plan(answer))\(answer.steps.isEmpty ? "" : "\napplied")")
    }

    /// The steps for a reader, and how many there are.
    package static func plan(_ answer: Mintmark_V1_ApplyResponse) -> String {
        var lines: [String] = []
        for step in answer.steps {
            let id = step.id.isEmpty ? "" : " (\(step.id))"
            let source = step.source.isEmpty ? "" : "  \(step.source)"
            lines.append(TableText.printable("\(sign(step.action)) \(step.spiffeID)\(id)\(source)"))
            for change in step.changes {
                lines.append(
                    TableText.printable("    \(change.field): \(shown(change.before)) -> \(shown(change.after))"))
            }
        }
        if answer.omitted > 0 { lines.append("… and \(answer.omitted) more steps") }
        lines.append(
            """
            \(answer.creations) to create, \(answer.updates) to update, \(answer.deletions) to delete, \
            \(answer.unchanged) unchanged
            """)
        return lines.joined(separator: "\n")
    }

    package static func lint(_ answer: Mintmark_V1_LintResponse) -> Rendering {
        Rendering(
            .members([
                "problems": .array(
                    answer.problems.map { .members(["source": .string($0.source), "message": .string($0.message)]) }),
                "findings": .array(answer.findings.map(value)),
            ]),
            table: answer.problems.isEmpty && answer.findings.isEmpty
                ? "nothing found"
                : (answer.problems.map { "problem: \(line($0))" } + answer.findings.map(line))
                    .joined(separator: "\n"))
    }

    package static func line(_ finding: Mintmark_V1_Finding) -> String {
        TableText.printable("\(finding.kind): \(finding.entries.joined(separator: ", ")): \(finding.message)")
    }

    package static func line(_ problem: Mintmark_V1_Problem) -> String {
        TableText.printable(problem.source.isEmpty ? problem.message : "\(problem.source): \(problem.message)")
    }

    private static func value(_ finding: Mintmark_V1_Finding) -> JSONValue {
        .members([
            "kind": .string(finding.kind), "entries": .array(finding.entries.map { .string($0) }),
            "message": .string(finding.message),
        ])
    }

    private static func value(_ step: Mintmark_V1_ApplyResponse.Step) -> JSONValue {
        .members([
            "action": .string(name(step.action)),
            "id": step.id.isEmpty ? .null : .string(step.id),
            "spiffe_id": .string(step.spiffeID),
            "source": step.source.isEmpty ? .null : .string(step.source),
            "changes": .array(
                step.changes.map {
                    .members([
                        "field": .string($0.field), "before": .string($0.before), "after": .string($0.after),
                    ])
                }),
        ])
    }

    private static func name(_ action: Mintmark_V1_ApplyResponse.Action) -> String {
        switch action {
        case .create: "create"
        case .update: "update"
        case .delete: "delete"
        case .unspecified, .UNRECOGNIZED: "unknown"
        }
    }

    private static func sign(_ action: Mintmark_V1_ApplyResponse.Action) -> String {
        switch action {
        case .create: "+"
        case .update: "~"
        case .delete: "-"
        case .unspecified, .UNRECOGNIZED: "?"
        }
    }

    private static func shown(_ text: String) -> String { text.isEmpty ? "(default)" : text }
}
