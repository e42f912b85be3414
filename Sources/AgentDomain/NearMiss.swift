internal import Foundation
package import SPIFFE

/// An entry that a process does not match, and everything that keeps it from doing so.
package struct NearMiss: Hashable, Sendable {
    package let entry: AuthorizedEntry
    /// Selectors of the entry that were not found, sorted.
    package let missing: [Selector]
    /// nil when the process reaches the level that the entry asks for.
    package let shortfall: AssuranceShortfall?
    /// Whether the entry's time is over.
    package let hasExpired: Bool
    /// What of the entry's rules the process fails, in words.
    package let failures: [String]
}

/// A level that an entry asks for and a process does not reach.
package struct AssuranceShortfall: Hashable, Sendable {
    package let needed: AssuranceLevel
    package let reached: AssuranceLevel
    /// Whether the process would reach it if the entry admitted anonymous executable memory.
    package let isOnlyJIT: Bool

    package init(needed: AssuranceLevel, reached: AssuranceLevel, isOnlyJIT: Bool) {
        (self.needed, self.reached, self.isOnlyJIT) = (needed, reached, isOnlyJIT)
    }
}

extension NearMiss {
    /// Judges an entry that may or may not match.
    ///
    /// - Returns: nil when nothing keeps the process from matching.
    init?(_ entry: AuthorizedEntry, _ attestation: Attestation, hasExpired: Bool, now: Date) {
        let missing = entry.selectors.subtracting(attestation.selectors).sorted()
        let reaches = attestation.meets(entry.terms, naming: entry.selectors)
        var failures = entry.conditions.failures(found: attestation.selectors, now: now)
        if let template = entry.conditions.template, entry.filled(by: attestation.selectors) == nil {
            failures.append("has no single value fit for a path for each part of '\(template)'")
        }
        guard !missing.isEmpty || !reaches || hasExpired || !failures.isEmpty else { return nil }
        self.entry = entry
        self.missing = missing
        self.hasExpired = hasExpired
        self.failures = failures
        shortfall =
            reaches
            ? nil
            : AssuranceShortfall(
                needed: entry.minimumAssurance,
                reached: attestation.level(admittingJIT: entry.allowsJIT, naming: entry.selectors),
                isOnlyJIT: attestation.level(admittingJIT: true, naming: entry.selectors) >= entry.minimumAssurance)
    }

    /// How many things are wrong, each level that lacks as one.
    private var distance: Int {
        missing.count + failures.count + (shortfall.map { $0.needed.number - $0.reached.number } ?? 0)
            + (hasExpired ? 1 : 0)
    }

    /// How much of the entry was found.
    private var found: Int { entry.selectors.count - missing.count }

    /// Whether this one comes first: fewer things wrong, then more that is right, then the older entry.
    static func isNearer(_ one: NearMiss, _ other: NearMiss) -> Bool {
        if one.distance != other.distance { return one.distance < other.distance }
        if one.found != other.found { return one.found > other.found }
        return (one.entry.createdAt, one.entry.id) < (other.entry.createdAt, other.entry.id)
    }
}
