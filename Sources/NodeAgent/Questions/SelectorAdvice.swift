internal import SwiftProtobuf
package import AgentDomain
internal import SPIFFE
package import WorkloadAPIProtos
internal import WorkloadAttestation

/// What an admin could write to have an entry match a process.
package enum SelectorAdvice {
    private static let scriptFamily = "exec:script:sha256"

    /// Ranks what was found on a process, and proposes an entry.
    package static func suggestions(for examination: Examination) -> Mintmark_V1_SuggestSelectorsResponse {
        let attestation = examination.judgement.attestation
        let admitsJIT = attestation.levelAdmittingJIT > attestation.level
        let level = attestation.levelAdmittingJIT
        let proposal = proposal(from: attestation.selectors, level: level)
        let ranked = attestation.selectors.compactMap { selector in
            SelectorVocabulary.family(of: selector).map { (selector, $0) }
        }.filter { $0.1.strength > 0 }.sorted { ($1.1.strength, $0.0) < ($0.1.strength, $1.0) }
        return .with {
            $0.process = examination.message
            $0.minimumAssurance = UInt32(level.number)
            $0.allowJit = admitsJIT
            $0.suggestions = ranked.map { selector, family in
                .with {
                    $0.selector = "\(selector)"
                    $0.strength = UInt32(clamping: family.strength)
                    $0.level = UInt32(family.minimum.number)
                    $0.explanation = family.meaning
                    $0.proposed = proposal.contains(selector)
                }
            }
            $0.warnings = warnings(examination, admitsJIT: admitsJIT, proposal: proposal)
        }
    }

    /// Who runs it, and the strongest word on what runs that the level stands behind.
    private static func proposal(from found: Set<Selector>, level: AssuranceLevel) -> Set<Selector> {
        func all(_ prefix: String) -> [Selector] {
            found.filter { "\($0)".utf8.starts(with: "\(prefix):".utf8) }.sorted()
        }
        let program =
            level >= .measuredExec
            ? all(scriptFamily) + all("exec:sha256") : all("unix:path") + all("unix:sha256")
        return Set(all("unix:uid") + program)
    }

    private static func warnings(
        _ examination: Examination, admitsJIT: Bool, proposal: Set<Selector>
    ) -> [String] {
        var warnings: [String] = []
        let attestation = examination.judgement.attestation
        if admitsJIT {
            warnings.append(
                "the process holds anonymous executable memory, as JIT compilers make it; what they make is not measured"
            )
        }
        if attestation.levelAdmittingJIT < .boundImage {
            warnings.append(
                "at AL\(attestation.levelAdmittingJIT.number) the owner of the process can pretend to be another program"
            )
        }
        if !proposal.contains(where: { $0.kind != "unix" || !$0.value.hasPrefix("uid:") }) {
            warnings.append("the user alone does not tell one program from another")
        }
        let path = examination.evidence.executable.value?.path.value ?? ""
        if BareInterpreter.isNamed(path.split(separator: "/").last ?? ""),
            // A chain without a script is there for every program, and is the interpreter's own.
            !attestation.selectors.contains(where: { SelectorVocabulary.family(of: $0)?.prefix == scriptFamily })
        {
            warnings.append(
                "\(path) is an interpreter: its digest says nothing of the program that it runs; start it by a #! script"
            )
        }
        return warnings
    }

    /// What an entry lacks on a process, with what would mend it.
    package static func miss(_ miss: NearMiss, on examination: Examination) -> Mintmark_V1_NearMiss {
        .with {
            $0.entryID = miss.entry.id
            $0.spiffeID = "\(miss.entry.spiffeID)"
            $0.minimumAssurance = UInt32(miss.entry.minimumAssurance.number)
            $0.assuranceMissing = miss.shortfall != nil
            $0.jitWouldDo = miss.shortfall?.isOnlyJIT ?? false
            $0.other = (miss.hasExpired ? ["has expired"] : []) + miss.failures
            $0.missingSelectors = miss.missing.map { selector in
                let found = counterparts(of: selector, in: examination.judgement.attestation.selectors)
                return .with {
                    $0.selector = "\(selector)"
                    $0.found = found.map { "\($0)" }
                    $0.remedy = remedy(for: selector, found: found, examination)
                }
            }
        }
    }

    /// What was found of the same family.
    private static func counterparts(of selector: Selector, in found: Set<Selector>) -> [Selector] {
        guard let family = SelectorVocabulary.family(of: selector) else { return [] }
        return Array(
            found.filter { SelectorVocabulary.family(of: $0)?.prefix == family.prefix }.sorted().prefix(8))
    }

    private static func remedy(for selector: Selector, found: [Selector], _ examination: Examination) -> String {
        if let first = found.first {
            return found.count == 1
                ? "if this process is meant, the entry must say \(first)"
                : "if this process is meant, the entry must say one of those found"
        }
        guard let family = SelectorVocabulary.family(of: selector) else {
            return "no attestor of this agent produces such selectors"
        }
        let lacking = examination.judgement.missing.first { $0.level <= family.minimum }
        if let lacking { return "it takes \(family.minimum), and \(lacking)" }
        return "nothing of that sort was found on the process"
    }
}
