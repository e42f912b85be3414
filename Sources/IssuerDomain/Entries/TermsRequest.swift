package import SPIFFE

/// What somebody asks of an entry's terms; what is left out follows from the rules.
package struct TermsRequest: Hashable, Sendable {
    package var minimum: AssuranceLevel?
    package var allowsJIT: Bool?
    package var insistence: Insistence

    package init(
        minimum: AssuranceLevel? = nil, allowsJIT: Bool? = nil, insistence: Insistence = .unsaid
    ) {
        (self.minimum, self.allowsJIT, self.insistence) = (minimum, allowsJIT, insistence)
    }

    /// The terms of a new entry.
    package func terms(for selectors: [Selector], defaults: AssuranceDefaults) -> AssuranceTerms {
        var terms = defaults.terms(for: selectors, allowsJIT: allowsJIT ?? false)
        if let minimum { terms.minimum = minimum }
        return terms
    }

    /// The terms of an entry that is changed: never lower than before, unless that is asked for.
    ///
    /// - Parameters:
    ///   - old: The entry as it was.
    ///   - selectors: Those that decide from now on.
    ///   - defaults: The issuer's. An entry that had the default follows it; one whose terms were chosen keeps them, as
    ///     far as its new selectors let it.
    /// - Returns: The terms to store.
    package func terms(
        replacing old: EntryContents, selectors: [Selector], defaults: AssuranceDefaults
    ) -> AssuranceTerms {
        let allowsJIT = allowsJIT ?? old.terms.allowsJIT
        if let minimum { return AssuranceTerms(minimum: minimum, allowsJIT: allowsJIT) }
        let oldSelectors = old.decidingSelectors
        guard selectors != oldSelectors || allowsJIT != old.terms.allowsJIT else { return old.terms }
        let hadDefault = old.terms == defaults.terms(for: oldSelectors, allowsJIT: old.terms.allowsJIT)
        let isNewlyJIT = allowsJIT && !old.terms.allowsJIT
        let due =
            hadDefault || isNewlyJIT
            ? defaults.terms(for: selectors, allowsJIT: allowsJIT).minimum
            : AssuranceDefaults.floor(of: selectors).level
        return AssuranceTerms(minimum: max(old.terms.minimum, due), allowsJIT: allowsJIT)
    }
}

/// How firmly somebody asks for what is refused for its own good.
package enum Insistence: Hashable, Sendable {
    /// The API has no word for it. What would be refused to others is stored with a warning: tools that were made for
    /// that API could not go on otherwise.
    case unsaid
    /// Could have insisted, and did not.
    case plain
    case forced
}
