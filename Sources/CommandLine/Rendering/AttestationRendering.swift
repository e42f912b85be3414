internal import Foundation
internal import SPIFFE
package import WorkloadAPIProtos

/// Shows what a node agent says about processes.
///
/// The JSON shapes are stable: add members freely, rename none.
package enum AttestationRendering {
    package static func explanation(_ response: Mintmark_V1_ExplainResponse) -> Rendering {
        var members = process(response.process)
        members["matches"] = .array(response.matches.map(value))
        members["near_misses"] = .array(response.nearMisses.map(value))
        members["hidden_near_misses"] = .integer(response.hiddenNearMisses)
        var sections = [processText(response.process)]
        sections.append(
            section(
                "Entries that match",
                TableText.rows(
                    ["ENTRY", "SPIFFE ID", "HINT"], response.matches.map { [$0.entryID, $0.spiffeID, $0.hint] },
                    empty: "none: this process gets no identity")))
        if !response.nearMisses.isEmpty {
            sections.append(section("Nearest of the others", response.nearMisses.map(text).joined(separator: "\n")))
        }
        if response.hiddenNearMisses > 0 {
            sections.append("\(response.hiddenNearMisses) more entries are not shown.")
        }
        return Rendering(.object(members), table: sections.joined(separator: "\n\n"))
    }

    package static func suggestions(_ response: Mintmark_V1_SuggestSelectorsResponse) -> Rendering {
        let proposed = response.suggestions.filter(\.proposed).map(\.selector)
        var command = "mintmark entry create --spiffe-id ID"
        for selector in proposed { command += " \\\n    --selector \(ShellText.quoted(selector))" }
        command += " \\\n    --min-assurance \(response.minimumAssurance)" + (response.allowJit ? " --allow-jit" : "")
        return Rendering(
            .members([
                "pid": .integer(response.process.pid),
                "level": .integer(response.process.level),
                "selectors": .array(
                    response.suggestions.map {
                        .members([
                            "selector": .string($0.selector), "strength": .integer($0.strength),
                            "level": .integer($0.level), "explanation": .string($0.explanation),
                            "proposed": .bool($0.proposed),
                        ])
                    }),
                "min_assurance": .integer(response.minimumAssurance),
                "allow_jit": .bool(response.allowJit),
                "warnings": .array(response.warnings.map { .string($0) }),
            ]),
            table: TableText.rows(
                ["", "SELECTOR", "LEVEL", "WHAT IT SAYS"],
                response.suggestions.map {
                    [$0.proposed ? "*" : "", $0.selector, "AL\($0.level)", $0.explanation]
                }, empty: "nothing is known of this process")
                + (proposed.isEmpty ? "" : "\n\nProposed (*):\n  \(command)"))
    }

    package static func test(_ response: Mintmark_V1_TestEntryResponse) -> Rendering {
        var members = process(response.process)
        members["matches"] = .bool(response.matches)
        members["miss"] = response.matches ? .null : value(response.miss)
        return Rendering(
            .object(members),
            table: response.matches
                ? "matches process \(response.process.pid) (AL\(response.process.level))" : text(response.miss))
    }

    package static func peers(_ response: Mintmark_V1_FindPeerResponse) -> Rendering {
        Rendering(
            .members([
                "peers": .array(
                    response.peers.map { peer in
                        var members = process(peer.process)
                        members["matches"] = .array(peer.matches.map(value))
                        members["role"] = .string(peer.role)
                        members["failure"] = peer.failure.isEmpty ? .null : .string(peer.failure)
                        return .object(members)
                    })
            ]),
            table: TableText.rows(
                ["PID", "LEVEL", "EXECUTABLE", "IDENTITIES", "ROLE"],
                response.peers.map { peer in
                    [
                        "\(peer.process.pid)", peer.failure.isEmpty ? "AL\(peer.process.level)" : "?",
                        peer.process.facts.first { $0.name == "executable" }?.value ?? "",
                        peer.failure.isEmpty
                            ? (peer.matches.isEmpty ? "none" : peer.matches.map(\.spiffeID).joined(separator: " "))
                            : peer.failure,
                        peer.role,
                    ]
                }, empty: "no process"))
    }

    package static func host(_ response: Mintmark_V1_DescribeHostResponse) -> Rendering {
        Rendering(
            .members([
                "highest_level": .integer(response.highestLevel),
                "checks": .array(
                    response.checks.map {
                        .members([
                            "name": .string($0.name), "standing": .string(name(of: $0.standing)),
                            "detail": .string($0.detail), "consequence": .string($0.consequence),
                            "remedy": .string($0.remedy),
                        ])
                    }),
            ]),
            table: "Processes of this machine can reach AL\(response.highestLevel).\n\n"
                + response.checks.map { check in
                    var lines = ["\(mark(of: check.standing))  \(check.name): \(check.detail)"]
                    if !check.consequence.isEmpty { lines.append("       so: \(check.consequence)") }
                    if !check.remedy.isEmpty { lines.append("       to change it: \(check.remedy)") }
                    return lines.joined(separator: "\n")
                }.joined(separator: "\n"))
    }

    // MARK: Parts

    private static func process(_ process: Mintmark_V1_AttestedProcess) -> JSONObject {
        JSONObject([
            ("pid", .integer(process.pid)),
            ("instance", .string(process.instance)),
            ("level", .integer(process.level)),
            ("level_admitting_jit", .integer(process.levelAdmittingJit)),
            ("methods", .array(process.methods.map { .string($0) })),
            ("facts", .array(process.facts.map(value))),
            ("selectors", .array(process.selectors.map { .string($0) })),
            ("missing", .array(process.missing.map(value))),
        ])
    }

    private static func value(_ fact: Mintmark_V1_Fact) -> JSONValue {
        .members([
            "name": .string(fact.name), "value": fact.unknown.isEmpty ? .string(fact.value) : .null,
            "from": fact.provenance.isEmpty ? .null : .string(fact.provenance),
            "unknown": fact.unknown.isEmpty ? .null : .string(fact.unknown),
        ])
    }

    private static func value(_ missing: Mintmark_V1_MissingProof) -> JSONValue {
        .members([
            "level": .integer(missing.level), "fact": .string(missing.fact), "reason": .string(missing.reason),
        ])
    }

    private static func value(_ match: Mintmark_V1_MatchedEntry) -> JSONValue {
        .members([
            "entry_id": .string(match.entryID), "spiffe_id": .string(match.spiffeID), "hint": .string(match.hint),
        ])
    }

    private static func value(_ miss: Mintmark_V1_NearMiss) -> JSONValue {
        .members([
            "entry_id": .string(miss.entryID), "spiffe_id": .string(miss.spiffeID),
            "missing_selectors": .array(
                miss.missingSelectors.map {
                    .members([
                        "selector": .string($0.selector), "found": .array($0.found.map { .string($0) }),
                        "remedy": .string($0.remedy),
                    ])
                }),
            "min_assurance": .integer(miss.minimumAssurance),
            "assurance_missing": .bool(miss.assuranceMissing),
            "jit_would_do": .bool(miss.jitWouldDo),
            "other": .array(miss.other.map { .string($0) }),
        ])
    }

    private static func processText(_ process: Mintmark_V1_AttestedProcess) -> String {
        var level = "AL\(process.level)"
        if process.levelAdmittingJit > process.level {
            level += " (AL\(process.levelAdmittingJit) for entries with --allow-jit)"
        }
        var sections = [
            TableText.fields([
                ("Process", "\(process.pid)"), ("Instance", process.instance), ("Level", level),
                ("Shown by", process.methods.joined(separator: ", ")),
            ])
        ]
        sections.append(
            section(
                "Facts",
                TableText.rows(
                    ["FACT", "FROM", "VALUE"],
                    process.facts.map { fact in
                        [fact.name, fact.provenance, fact.unknown.isEmpty ? fact.value : "unknown: \(fact.unknown)"]
                    }, empty: "none")))
        if !process.missing.isEmpty {
            sections.append(
                section(
                    "Missing for higher levels",
                    TableText.rows(
                        ["LEVEL", "FACT", "WHY"], process.missing.map { ["AL\($0.level)", $0.fact, $0.reason] },
                        empty: "")))
        }
        return sections.joined(separator: "\n\n")
    }

    private static func text(_ miss: Mintmark_V1_NearMiss) -> String {
        var lines = ["\(miss.spiffeID)  \(miss.entryID)"]
        for selector in miss.missingSelectors {
            lines.append("  lacks \(selector.selector)")
            for found in selector.found { lines.append("    found \(found)") }
            if !selector.remedy.isEmpty { lines.append("    \(selector.remedy)") }
        }
        if miss.assuranceMissing {
            lines.append("  asks for AL\(miss.minimumAssurance)")
            if miss.jitWouldDo { lines.append("    --allow-jit on the entry would do") }
        }
        lines += miss.other.map { "  \($0)" }
        return lines.joined(separator: "\n")
    }

    private static func section(_ title: String, _ body: String) -> String { "\(title)\n\(body)" }

    private static func name(of standing: Mintmark_V1_DescribeHostResponse.Check.Standing) -> String {
        switch standing {
        case .good: "good"
        case .limited: "limited"
        case .missing: "missing"
        case .unspecified, .UNRECOGNIZED: "unknown"
        }
    }

    private static func mark(of standing: Mintmark_V1_DescribeHostResponse.Check.Standing) -> String {
        switch standing {
        case .good: "good "
        case .limited: "limit"
        case .missing: "lacks"
        case .unspecified, .UNRECOGNIZED: "?    "
        }
    }
}

/// Words for a shell.
package enum ShellText {
    /// The word as it is where that is safe, otherwise in single quotes.
    package static func quoted(_ word: String) -> String {
        let plain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "/:._-+=,@%".utf8.contains(byte)
            }
        }
        guard !plain || word.isEmpty else { return word }
        // By scalars: a quote that carries an accent is a character of its own, and still ends the quotation.
        var quoted = "'"
        for scalar in word.unicodeScalars { quoted += scalar == "'" ? "'\\''" : String(scalar) }
        return quoted + "'"
    }
}
