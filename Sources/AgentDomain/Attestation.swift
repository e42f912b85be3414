package import SPIFFE

/// What an attestation of a process came to: what may be matched, and how surely.
package struct Attestation: Hashable, Sendable {
    /// Every selector found.
    ///
    /// What could not be read is left out, so it never matches.
    package var selectors: Set<Selector>
    /// The level reached by the ordinary rules.
    package var level: AssuranceLevel
    /// The level reached when anonymous executable memory, as JIT compilers make it, is admitted.
    package var levelAdmittingJIT: AssuranceLevel
    /// Libraries that others than root could have changed, as `code:lib` selectors: only an entry that names each of them
    /// (or the whole set, by `code:set`) vouches for them.
    package var unvouched: Set<Selector> = []
    /// The levels reached for an entry that vouches for every library.
    package var levelVouched: AssuranceLevel
    package var levelVouchedAdmittingJIT: AssuranceLevel
    /// What was relied on, such as `pidfd` and `exec-journal`; sorted.
    package var methods: [String]

    package init(
        selectors: Set<Selector>, level: AssuranceLevel, levelAdmittingJIT: AssuranceLevel, methods: [String]
    ) {
        self.selectors = selectors
        self.level = level
        self.levelAdmittingJIT = max(level, levelAdmittingJIT)
        levelVouched = level
        levelVouchedAdmittingJIT = self.levelAdmittingJIT
        self.methods = methods.sorted()
    }

    /// The same facts as if every level were reached; to tell a process that shows too little from one that is unknown.
    package var raisedToTop: Attestation {
        Attestation(
            selectors: selectors, level: AssuranceLevel.allCases.max() ?? level,
            levelAdmittingJIT: AssuranceLevel.allCases.max() ?? level, methods: methods)
    }

    /// Whether it meets the terms of an entry, whatever the entry's selectors.
    ///
    /// - Parameters:
    ///   - terms: What the entry asks for.
    ///   - selectors: The entry's; they can vouch for libraries.
    /// - Returns: Whether the level that counts for the entry is at least the one it asks for.
    package func meets(_ terms: AssuranceTerms, naming selectors: Set<Selector>) -> Bool {
        level(admittingJIT: terms.allowsJIT, naming: selectors) >= terms.minimum
    }

    /// The level that counts for an entry.
    package func level(admittingJIT: Bool, naming selectors: Set<Selector>) -> AssuranceLevel {
        guard !unvouched.isEmpty, unvouched.isSubset(of: selectors) || selectors.contains(where: Self.isWholeSet) else {
            return admittingJIT ? levelAdmittingJIT : level
        }
        return admittingJIT ? levelVouchedAdmittingJIT : levelVouched
    }

    private static func isWholeSet(_ selector: Selector) -> Bool {
        selector.kind == "code" && selector.value.utf8.starts(with: "set:".utf8)
    }
}
