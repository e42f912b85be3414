package import Foundation
package import SPIFFE

/// What an entry says beyond the public API and an agent has to act on.
package struct EntryConditions: Hashable, Sendable {
    /// What the issuer's agents must understand to serve an entry; entries that need more are not served.
    package static let vocabulary: UInt32 = 1

    package var rules: SelectorRules
    /// Digests by the name of their set, each with the instant from which it does not count; nil for no end.
    package var digestSets: [String: [String: Date?]]
    package var template: IDTemplate?
    /// Exact values; any when empty.
    package var audiences: [String]
    package var keyType: WorkloadKeyType?
    package var hasInstanceKeys: Bool

    package init(
        rules: SelectorRules = .init(), digestSets: [String: [String: Date?]] = [:], template: IDTemplate? = nil,
        audiences: [String] = [], keyType: WorkloadKeyType? = nil, hasInstanceKeys: Bool = false
    ) {
        self.rules = rules
        self.digestSets = digestSets
        self.template = template
        self.audiences = audiences
        self.keyType = keyType
        self.hasInstanceKeys = hasInstanceKeys
    }

    /// What of the rules a process fails, in words; empty when it obeys them.
    ///
    /// What is unknown fails: a selector that was not found is absent only where something found shows it.
    package func failures(found: Set<Selector>, now: Date) -> [String] {
        var failures: [String] = []
        for group in rules.anyOf where !group.contains(where: found.contains) {
            failures.append("has none of \(group.map { "'\($0)'" }.joined(separator: ", "))")
        }
        for selector in rules.noneOf {
            if found.contains(selector) {
                failures.append("has '\(selector)', which it may not")
            } else if !FamilyAbsence.isShown(of: selector, in: found) {
                failures.append("is not known to be without '\(selector)'")
            }
        }
        for name in rules.digestSets where !isMember(of: name, found: found, now: now) {
            failures.append("its executable is not in digest set '\(name)'")
        }
        return failures
    }

    /// Whether a process obeys the rules.
    package func admit(found: Set<Selector>, now: Date) -> Bool {
        if rules.isEmpty { return true }
        return failures(found: found, now: now).isEmpty
    }

    /// Whether JWT-SVIDs can be for all of an audience.
    package func admit(audience: [String]) -> Bool {
        let allowed = Set(audiences.map { ExactText($0) })
        return allowed.isEmpty || audience.allSatisfy { allowed.contains(ExactText($0)) }
    }

    private func isMember(of name: String, found: Set<Selector>, now: Date) -> Bool {
        guard let accepted = digestSets[name] else { return false }
        return found.contains { selector in
            guard let digest = BareInterpreter.value(of: selector, after: "exec:sha256"), let end = accepted[digest]
            else { return false }
            return end.map { now < $0 } ?? true
        }
    }
}
