/// What an entry asks of a process beyond having all of its selectors.
///
/// Evaluated over what was found: there are no loops, no comparisons and no functions, so it always ends.
package struct SelectorRules: Hashable, Sendable {
    /// At least one of each group must be found; groups are sorted within, without repeats, never empty.
    package var anyOf: [[Selector]]
    /// None may be found, and each one's family must have been established; sorted, without repeats.
    package var noneOf: [Selector]
    /// Names of digest sets: the executable as measured at exec must be in each of them.
    package var digestSets: [String]

    package init(anyOf: [[Selector]] = [], noneOf: [Selector] = [], digestSets: [String] = []) {
        self.anyOf = anyOf.map { Array(Set($0)).sorted() }
        self.noneOf = Array(Set(noneOf)).sorted()
        self.digestSets = Array(Set(digestSets)).sorted()
    }

    /// Whether nothing is asked.
    package var isEmpty: Bool { anyOf.isEmpty && noneOf.isEmpty && digestSets.isEmpty }

    /// Every selector that is named, and one that stands for the family of each digest set.
    ///
    /// What a level needs, and what evidence has to be gathered, follows from families alone.
    package var named: [Selector] {
        anyOf.flatMap(\.self) + noneOf + (digestSets.isEmpty ? [] : [Self.anyDigest].compactMap(\.self))
    }

    /// The selector by which an executable is in a digest set.
    package static func digest(_ hex: String) -> Selector? { try? Selector(kind: "exec", value: "sha256:\(hex)") }

    private static let anyDigest = digest(String(repeating: "0", count: 64))
}
