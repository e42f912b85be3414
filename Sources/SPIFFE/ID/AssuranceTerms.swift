/// What must have been shown of a process before an entry applies to it.
package struct AssuranceTerms: Hashable, Sendable {
    package var minimum: AssuranceLevel
    /// Whether anonymous executable memory is admitted, as just-in-time compilers have it.
    package var allowsJIT: Bool

    package init(minimum: AssuranceLevel, allowsJIT: Bool) {
        (self.minimum, self.allowsJIT) = (minimum, allowsJIT)
    }
}

/// The terms of an entry for which nobody said any.
///
/// The issuer stores them explicitly; a node agent whose issuer cannot say terms applies the same rules itself.
package struct AssuranceDefaults: Hashable, Sendable {
    /// What an entry asks for when its selectors say which program runs.
    package let program: AssuranceLevel

    /// - Parameter program: The level for entries whose selectors say which program runs.
    package init(program: AssuranceLevel = .boundImage) { self.program = program }

    /// The least that an entry can ask for: below it nothing stands behind one of its selectors.
    ///
    /// - Returns: The level, and the selector that needs it; no selector when any level will do.
    package static func floor(
        of selectors: some Sequence<Selector>
    ) -> (level: AssuranceLevel, selector: Selector?) {
        selectors.sorted().reduce((.account, nil)) { found, selector in
            let needed = SelectorVocabulary.family(of: selector)?.minimum ?? .account
            return needed > found.0 ? (needed, selector) : found
        }
    }

    /// Whether some selector says which program runs, so that a process that only pretends would gain by it.
    package static func namesProgram(_ selectors: some Sequence<Selector>) -> Bool {
        selectors.contains { SelectorVocabulary.family(of: $0)?.namesProgram ?? false }
    }

    /// The terms for some selectors.
    ///
    /// - Parameters:
    ///   - selectors: The entry's.
    ///   - allowsJIT: Whether the entry admits anonymous executable memory: then only what was measured at exec tells
    ///     the program from one that wears its name.
    /// - Returns: Never less than the floor of the selectors.
    package func terms(for selectors: some Sequence<Selector>, allowsJIT: Bool = false) -> AssuranceTerms {
        let asked = Self.namesProgram(selectors) ? program : .account
        let minimum = max(Self.floor(of: selectors).level, asked, allowsJIT ? .measuredExec : .account)
        return AssuranceTerms(minimum: minimum, allowsJIT: allowsJIT)
    }
}
