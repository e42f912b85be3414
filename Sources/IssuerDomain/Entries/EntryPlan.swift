internal import Crypto
package import Foundation
package import Platform
package import SPIFFE

/// The difference between what is declared and what is stored.
package struct EntryPlan: Sendable {
    /// One thing to do.
    package enum Step: Sendable {
        case create(Entry, source: String)
        case update(Entry, source: String, changes: [FieldChange])
        case delete(Entry)
    }

    /// Why an entry cannot be made what it is declared to be.
    package struct Problem: Hashable, Sendable {
        package let source: String
        package let message: String
        package let canBeForced: Bool

        package init(source: String, message: String, canBeForced: Bool = false) {
            (self.source, self.message, self.canBeForced) = (source, message, canBeForced)
        }
    }

    /// Deletions first, then the rest as it is declared.
    package private(set) var steps: [Step] = []
    package private(set) var unchanged = 0
    /// When there is one, nothing may be done.
    package private(set) var problems: [Problem] = []
    /// Declared entries whose time is over; they count as not declared.
    package private(set) var expired: [DeclaredEntry] = []

    private var declared: [(entry: Entry, source: String)] = []

    /// Compares.
    ///
    /// - Parameters:
    ///   - declaration: What is wanted.
    ///   - index: What is stored.
    ///   - trustDomain: The issuer's own.
    ///   - defaults: The terms of entries for which nobody says any.
    ///   - maximumEntries: How many there may be in the end.
    ///   - holdsBundle: Whether the bundle of another trust domain is there; entries federate with no others.
    ///   - now: The time.
    ///   - entropy: For the IDs of new entries.
    package init(
        _ declaration: Declaration, index: EntryIndex, trustDomain: TrustDomain, defaults: AssuranceDefaults,
        maximumEntries: Int, holdsBundle: @Sendable (TrustDomain) -> Bool, now: Date,
        using entropy: inout some Entropy
    ) {
        guard declaration.entries.count <= Declaration.maximumEntries else {
            problems = [Problem(source: "", message: "more than \(Declaration.maximumEntries) entries are declared")]
            return
        }
        var claimed: [String: String] = [:]
        for wanted in declaration.entries {
            if let end = wanted.contents.expiresAt, end <= now {
                expired.append(wanted)
                continue
            }
            do throws(EntryError) {
                try add(
                    wanted, of: declaration, index: index, trustDomain: trustDomain, defaults: defaults,
                    holdsBundle: holdsBundle, now: now, claimed: &claimed, using: &entropy)
            } catch {
                problems.append(
                    Problem(source: wanted.source, message: "\(error)", canBeForced: error.canBeForced))
            }
        }
        let surplus = index.entries.filter { entry in
            declaration.prunes && entry.contents.details.labels[Declaration.label] == declaration.keeper
                && claimed[entry.id] == nil
        }
        steps = surplus.sorted { ExactText($0.id) < ExactText($1.id) }.map { .delete($0) } + steps
        checkKeys(in: index)
        let growth = steps.reduce(0) { sum, step in
            switch step {
            case .create: sum + 1
            case .update: sum
            case .delete: sum - 1
            }
        }
        if growth > 0, index.count + growth > maximumEntries {
            problems.append(Problem(source: "", message: "\(EntryError.tooManyEntries(limit: maximumEntries))"))
        }
    }

    /// Whether there is nothing to do.
    package var isEmpty: Bool { steps.isEmpty }

    /// What to store, in order.
    package var changes: [EntryChange] {
        steps.map { step in
            switch step {
            case .create(let entry, _), .update(let entry, _, _): .put(entry)
            case .delete(let entry): .delete(id: entry.id)
            }
        }
    }

    /// Tells this plan from one that would do something else; the IDs of new entries do not count.
    package var fingerprint: String {
        var hash = SHA256()
        func add(_ text: String) { hash.update(data: Data("\(text.utf8.count):\(text)".utf8)) }
        for step in steps {
            switch step {
            case .create(let entry, _):
                add("create")
                for field in EntryFields.texts(of: entry.contents) { add("\(field.name)=\(field.text)") }
            case .update(let entry, _, let changes):
                add("update \(entry.id) \(entry.revision)")
                for change in changes { add("\(change.field)=\(change.after)") }
            case .delete(let entry): add("delete \(entry.id) \(entry.revision)")
            }
        }
        return Hex.encode(Array(hash.finalize().prefix(16)))
    }

    /// Adds a reason not to do it.
    mutating func refuse(_ problem: Problem) { problems.append(problem) }

    /// Every declared entry as it would be, with where it is said.
    package var outcome: [(entry: Entry, source: String)] { declared }

    private mutating func add(
        _ wanted: DeclaredEntry, of declaration: Declaration, index: EntryIndex, trustDomain: TrustDomain,
        defaults: AssuranceDefaults, holdsBundle: (TrustDomain) -> Bool, now: Date, claimed: inout [String: String],
        using entropy: inout some Entropy
    ) throws(EntryError) {
        if let id = wanted.id { try EntryRules.check(id: id) }
        let existing = wanted.id.map { index[$0] } ?? index.entry(with: wanted.contents.key)
        var contents = wanted.contents
        contents.details.labels[Declaration.label] = declaration.keeper
        contents.terms = wanted.terms.terms(for: contents.decidingSelectors, defaults: defaults)
        try EntryRules.check(
            contents, in: trustDomain, now: now, replacing: existing?.contents, insistence: wanted.terms.insistence)
        // Domains that were there are not judged again.
        for domain in contents.federatesWith where existing?.contents.federatesWith.contains(domain) != true {
            guard holdsBundle(domain) else { throw .bundleMissing(domain) }
        }
        try index.requireDigestSets(of: contents)
        let id = existing?.id ?? wanted.id ?? RandomID.draw(using: &entropy)
        guard existing?.id == id || index[id] == nil else { throw .idTaken }
        if let other = claimed.updateValue(wanted.source, forKey: id) {
            problems.append(Problem(source: wanted.source, message: "the same entry is declared at \(other) as well"))
            return
        }
        guard var entry = existing else {
            let entry = Entry(id: id, contents: contents, revision: 0, createdAt: now.wholeSecond)
            steps.append(.create(entry, source: wanted.source))
            declared.append((entry, wanted.source))
            return
        }
        let keeper = entry.contents.details.labels[Declaration.label]
        guard keeper == declaration.keeper || declaration.adopts else {
            let whose = keeper.map { "is managed by '\($0)'" } ?? "is managed by nobody"
            problems.append(
                Problem(
                    source: wanted.source, message: "entry '\(id)' is there and \(whose); take it over with --adopt"))
            return
        }
        guard entry.contents != contents else {
            unchanged += 1
            declared.append((entry, wanted.source))
            return
        }
        let changes = EntryFields.changes(from: entry.contents, to: contents)
        entry.contents = contents
        entry.revision += 1
        steps.append(.update(entry, source: wanted.source, changes: changes))
        declared.append((entry, wanted.source))
    }

    /// Refuses two entries that would say the same in the end.
    private mutating func checkKeys(in index: EntryIndex) {
        var gone: Set<String> = []
        for step in steps {
            switch step {
            case .delete(let entry), .update(let entry, _, _): gone.insert(entry.id)
            case .create: break
            }
        }
        var taken: [EntryKey: String] = [:]
        for (entry, source) in declared {
            if let other = taken.updateValue(source, forKey: entry.contents.key) {
                problems.append(
                    Problem(
                        source: source, message: "SPIFFE ID, parent and selectors are those of the entry at \(other)"))
            } else if let other = index.entry(with: entry.contents.key), other.id != entry.id, !gone.contains(other.id)
            {
                problems.append(
                    Problem(source: source, message: "SPIFFE ID, parent and selectors are those of entry '\(other.id)'")
                )
            }
        }
    }
}

/// What becomes of one field of an entry.
package struct FieldChange: Hashable, Sendable {
    package let field: String
    package let before: String
    package let after: String
}
