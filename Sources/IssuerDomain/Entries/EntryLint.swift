internal import Foundation
package import SPIFFE

/// Something about entries that somebody should look at.
package struct EntryFinding: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        /// Says nothing that another one does not say already.
        case redundant
        /// Two that can match one process share a hint: the younger is never handed out with it.
        case shadowed
        /// Two that can match one process give the same identity.
        case overlap
        /// No process can match.
        case unreachable
        /// Nothing can serve it as it stands.
        case orphaned
        case weak
        case expired
        /// It asks for a lifetime that its SVIDs do not get.
        case shortened
    }

    package let kind: Kind
    /// IDs, or where they are declared.
    package let entries: [String]
    package let message: String

    package init(_ kind: Kind, _ entries: [String], _ message: String) {
        (self.kind, self.entries, self.message) = (kind, entries, message)
    }
}

/// Looks for entries that get in each other's way, or can never match.
package enum EntryLint {
    /// An entry under the name by which somebody finds it.
    package struct Subject: Sendable {
        package let name: String
        package let entry: Entry

        package init(name: String, entry: Entry) { (self.name, self.entry) = (name, entry) }

        fileprivate var contents: EntryContents { entry.contents }
    }

    /// The most findings told, and the most pairs compared.
    package static let maximumFindings = 500
    private static let maximumPairs = 200_000

    /// Looks at all entries that are stored.
    ///
    /// - Parameters:
    ///   - index: The entries.
    ///   - agents: Those that were let in; nil where nobody is to look at what they could serve.
    ///   - lifetimes: What decides how long SVIDs live; nil where nobody is to look at that.
    /// - Returns: What was found, by the first entry concerned.
    package static func findings(
        in index: EntryIndex, agents: [AttestedAgent]? = nil, lifetimes: EntryLifetimes? = nil
    ) -> [EntryFinding] {
        findings(
            among: index.entries.map { Subject(name: $0.id, entry: $0) }, parents: parents(in: index),
            servers: agents.map { EntryServers(index, agents: $0) }
        ) { lifetimes?.cuts(of: $0, above: index.end(of: $0.parentID)) ?? [] }
    }

    /// Looks at what a plan would come to; tells of what concerns declared entries.
    static func findings(
        for plan: EntryPlan, in index: EntryIndex, agents: [AttestedAgent]? = nil, lifetimes: EntryLifetimes? = nil
    ) -> [EntryFinding] {
        var result = index
        result.apply(plan.changes, revision: index.revision)
        let sources = Dictionary(plan.outcome.map { ($0.entry.id, $0.source) }, uniquingKeysWith: { one, _ in one })
        let subjects = result.entries.map { Subject(name: sources[$0.id] ?? $0.id, entry: $0) }
        let concerned = Set(sources.values)
        let expired = plan.expired.map {
            EntryFinding(.expired, [$0.source], "its time is over; it counts as not declared")
        }
        return expired
            + findings(
                among: subjects, parents: parents(in: result), servers: agents.map { EntryServers(result, agents: $0) }
            ) { lifetimes?.cuts(of: $0, above: result.end(of: $0.parentID)) ?? [] }
            .filter { !concerned.isDisjoint(with: $0.entries) }
    }

    /// Looks at entries.
    ///
    /// - Parameters:
    ///   - subjects: The entries.
    ///   - parents: Identities that entries give, under which others can stand.
    ///   - servers: Which agents serve what; nil where nobody is to look.
    ///   - cuts: Which lifetimes are cut.
    /// - Returns: What was found, by the first entry concerned.
    package static func findings(
        among subjects: [Subject], parents: Set<SPIFFEID>, servers: EntryServers? = nil,
        cuts: (EntryContents) -> [LifetimeCut] = { _ in [] }
    ) -> [EntryFinding] {
        let subjects = subjects.sorted {
            ($0.entry.createdAt, ExactText($0.name)) < ($1.entry.createdAt, ExactText($1.name))
        }
        var findings = subjects.flatMap { alone($0, parents: parents) }
        for subject in subjects {
            findings += cuts(subject.contents).map { EntryFinding(.shortened, [subject.name], "\($0)") }
        }
        if let servers {
            findings += subjects.compactMap { subject in
                servers.complaint(about: subject.contents).map { EntryFinding(.orphaned, [subject.name], $0) }
            }
        }
        var room = maximumPairs
        let byHint = Dictionary(grouping: subjects.filter { !$0.contents.hint.isEmpty }) {
            Group(parent: $0.contents.parentID, shared: $0.contents.hint)
        }
        let byIdentity = Dictionary(grouping: subjects) {
            Group(parent: $0.contents.parentID, shared: "\($0.contents.spiffeID)")
        }
        for group in byIdentity.values where group.count > 1 {
            pairs(of: group, &room) { older, younger in
                if let finding = sameIdentity(older, younger) { findings.append(finding) }
            }
        }
        for group in byHint.values where group.count > 1 {
            pairs(of: group, &room) { older, younger in
                if let finding = sameHint(older, younger) { findings.append(finding) }
            }
        }
        if let servers {
            across(subjects, by: { "\($0.spiffeID)" }, servers, &room) { older, younger in
                if let finding = sameIdentity(older, younger) { findings.append(finding) }
            }
            across(subjects, by: { $0.hint.isEmpty ? nil : $0.hint }, servers, &room) { older, younger in
                if let finding = sameHint(older, younger) { findings.append(finding) }
            }
        }
        return Array(
            findings.sorted {
                ($0.entries.map { ExactText($0) }.first ?? ExactText(""), $0.kind.rawValue)
                    < ($1.entries.map { ExactText($0) }.first ?? ExactText(""), $1.kind.rawValue)
            }.prefix(maximumFindings))
    }

    /// Pairs under different parents that one agent serves all the same, because it has more than one name.
    private static func across(
        _ subjects: [Subject], by shared: (EntryContents) -> String?, _ servers: EntryServers, _ room: inout Int,
        _ body: (Subject, Subject) -> Void
    ) {
        let groups = Dictionary(grouping: subjects) { shared($0.contents) }
        for case (_?, let group) in groups where Set(group.map(\.contents.parentID)).count > 1 {
            pairs(of: group, &room) { older, younger in
                let (one, other) = (older.contents.parentID, younger.contents.parentID)
                // Those under one parent were looked at before.
                if one != other, servers.haveAgentInCommon(one, other) { body(older, younger) }
            }
        }
    }

    private struct Group: Hashable {
        let parent: SPIFFEID
        let shared: String
    }

    private static func parents(in index: EntryIndex) -> Set<SPIFFEID> { Set(index.entries.map(\.contents.spiffeID)) }

    private static func pairs(of group: [Subject], _ room: inout Int, _ body: (Subject, Subject) -> Void) {
        for (index, older) in group.enumerated() {
            for younger in group[(index + 1)...] {
                guard room > 0 else { return }
                room -= 1
                body(older, younger)
            }
        }
    }

    // MARK: One entry

    private static func alone(_ subject: Subject, parents: Set<SPIFFEID>) -> [EntryFinding] {
        let contents = subject.contents
        var findings: [EntryFinding] = []
        if let reason = unreachable(contents) {
            findings.append(EntryFinding(.unreachable, [subject.name], "no process can match: \(reason)"))
        }
        for warning in EntryWarning.all(about: contents) {
            switch warning {
            case .unknownKind: findings.append(EntryFinding(.unreachable, [subject.name], "\(warning)"))
            case .disabled, .lifetimeCut: break
            case .fakeable, .unmeasuredJIT, .bareInterpreter, .accountAlone:
                findings.append(EntryFinding(.weak, [subject.name], "\(warning)"))
            }
        }
        let parent = contents.parentID
        if !parent.path.hasPrefix("/spire/"), !parents.contains(parent) {
            findings.append(
                EntryFinding(.orphaned, [subject.name], "no agent and no entry has its parent's ID '\(parent)'"))
        }
        return findings
    }

    /// Why nothing can be all that an entry asks for.
    private static func unreachable(_ contents: EntryContents) -> String? {
        if let (one, other) = conflict(in: contents.selectors) {
            return "a process has '\(one)' or '\(other)', never both"
        }
        let all = Set(contents.selectors)
        for group in contents.details.rules.anyOf {
            let possible = group.filter { choice in
                !contents.details.rules.noneOf.contains(choice) && conflict(in: Array(all.union([choice]))) == nil
            }
            if possible.isEmpty { return "no choice of an any_of group agrees with the rest" }
        }
        return nil
    }

    /// Two selectors of which at most one is true of a process.
    private static func conflict(in selectors: [Selector]) -> (Selector, Selector)? {
        var values: [String: Selector] = [:]
        for selector in selectors.sorted() {
            guard let family = SelectorVocabulary.family(of: selector), isSingle(family) else { continue }
            if let other = values.updateValue(selector, forKey: family.prefix) { return (other, selector) }
        }
        return nil
    }

    private static func isSingle(_ family: SelectorFamily) -> Bool {
        // A namespace has a number and, at home, a name as well.
        FamilyAbsence(of: family) == .byItsValue && !family.prefix.hasPrefix("ns:")
    }

    // MARK: Two entries

    private static func sameIdentity(_ older: Subject, _ younger: Subject) -> EntryFinding? {
        guard canMatchTogether(older.contents, younger.contents) else { return nil }
        let names = [older.name, younger.name]
        let (one, other) = (Set(older.contents.selectors), Set(younger.contents.selectors))
        let arePlain = older.contents.details.rules.isEmpty && younger.contents.details.rules.isEmpty
        if arePlain, one.isSubset(of: other), older.contents.terms.minimum <= younger.contents.terms.minimum {
            return EntryFinding(
                .redundant, names,
                "whatever matches \(younger.name) matches \(older.name), which asks for less and gives the same identity"
            )
        }
        if arePlain, other.isSubset(of: one), younger.contents.terms.minimum <= older.contents.terms.minimum {
            return EntryFinding(
                .redundant, names,
                "whatever matches \(older.name) matches \(younger.name), which asks for less and gives the same identity"
            )
        }
        return EntryFinding(.overlap, names, "one process can match both, and both give the same identity")
    }

    private static func sameHint(_ older: Subject, _ younger: Subject) -> EntryFinding? {
        guard canMatchTogether(older.contents, younger.contents) else { return nil }
        return EntryFinding(
            .shadowed, [older.name, younger.name],
            "one process can match both, and with one hint for both it gets the older, \(older.name), alone")
    }

    /// Whether some process could have all that both ask for.
    private static func canMatchTogether(_ one: EntryContents, _ other: EntryContents) -> Bool {
        guard conflict(in: Array(Set(one.selectors + other.selectors))) == nil else { return false }
        let forbidden = Set(one.details.rules.noneOf + other.details.rules.noneOf)
        return forbidden.isDisjoint(with: one.selectors) && forbidden.isDisjoint(with: other.selectors)
    }
}
