package import SPIFFE

/// Which entries an admin asks to see.
///
/// What is not said does not narrow.
package struct EntryFilter: Hashable, Sendable {
    package var spiffeID: SPIFFEID?
    package var parentID: SPIFFEID?
    package var selectors: SetMatch<Selector>?
    package var federatesWith: SetMatch<TrustDomain>?
    package var hint: String?
    package var isDownstream: Bool?

    package init() {}

    /// Whether an entry passes.
    package func admits(_ contents: EntryContents) -> Bool {
        if let spiffeID, contents.spiffeID != spiffeID { return false }
        if let parentID, contents.parentID != parentID { return false }
        if let selectors, !selectors.admits(contents.selectors) { return false }
        if let federatesWith, !federatesWith.admits(contents.federatesWith) { return false }
        if let hint, contents.hint != hint { return false }
        if let isDownstream, contents.isDownstream != isDownstream { return false }
        return true
    }
}

/// How a candidate's set must stand to a given one.
package struct SetMatch<Element: Hashable & Sendable>: Hashable, Sendable {
    package enum Mode: Sendable {
        case exact
        /// The candidate's set is within the given one.
        case subset
        /// The candidate's set holds all of the given one.
        case superset
        case any
    }

    package let elements: Set<Element>
    package let mode: Mode

    package init(_ elements: some Sequence<Element>, mode: Mode) { (self.elements, self.mode) = (Set(elements), mode) }

    /// Whether a candidate's set passes.
    package func admits(_ candidate: some Sequence<Element>) -> Bool {
        let candidate = Set(candidate)
        return switch mode {
        case .exact: candidate == elements
        case .subset: candidate.isSubset(of: elements)
        case .superset: candidate.isSuperset(of: elements)
        case .any: !candidate.isDisjoint(with: elements)
        }
    }
}
