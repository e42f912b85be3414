package import SPIFFE

/// Refuses selectors that would never match, instead of storing them.
package enum SelectorCatalog {
    /// Judges the spelling of a selector.
    ///
    /// - Parameters:
    ///   - selector: What the admin wrote.
    ///   - insistence: Kinds that nobody knows may be forced: somebody may have an attestor of their own. Whoever cannot
    ///     say that they insist, such as a tool made for SPIRE, need not.
    /// - Throws: ``EntryError/selector(_:)`` with the nearest spelling that would pass, if there is one.
    package static func check(_ selector: Selector, insistence: Insistence = .unsaid) throws(EntryError) {
        do throws(SelectorVocabularyError) { try SelectorVocabulary.check(selector) } catch {
            if case .unknownKind = error, insistence != .plain { return }
            throw .selector(error)
        }
    }
}
