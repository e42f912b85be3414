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
    /// What was relied on, such as `pidfd` and `exec-journal`; sorted.
    package var methods: [String]

    package init(
        selectors: Set<Selector>, level: AssuranceLevel, levelAdmittingJIT: AssuranceLevel, methods: [String]
    ) {
        self.selectors = selectors
        self.level = level
        self.levelAdmittingJIT = max(level, levelAdmittingJIT)
        self.methods = methods.sorted()
    }

    /// The same facts as if every level were reached; to tell a process that shows too little from one that is unknown.
    package var raisedToTop: Attestation {
        Attestation(
            selectors: selectors, level: AssuranceLevel.allCases.max() ?? level,
            levelAdmittingJIT: AssuranceLevel.allCases.max() ?? level, methods: methods)
    }

    /// Whether it reaches a level.
    ///
    /// - Parameters:
    ///   - minimum: The level.
    ///   - admittingJIT: Whether anonymous executable memory is admitted.
    /// - Returns: True when what was shown is at least that.
    package func reaches(_ minimum: AssuranceLevel, admittingJIT: Bool) -> Bool {
        (admittingJIT ? levelAdmittingJIT : level) >= minimum
    }
}
