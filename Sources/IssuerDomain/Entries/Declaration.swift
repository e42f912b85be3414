/// What somebody says the entries of a name are, as files say it.
package struct Declaration: Sendable {
    /// The label that says who keeps an entry.
    package static let label = "managed-by"
    /// The most entries in one declaration.
    package static let maximumEntries = 20_000
    /// The longest value of the label, in bytes.
    package static let maximumKeeperBytes = 255

    package var entries: [DeclaredEntry]
    /// The value of the label; only entries that have it are changed or deleted.
    package var keeper: String
    /// Whether entries of this keeper that are not said are deleted.
    package var prunes: Bool
    /// Whether entries that nobody keeps, or somebody else, are taken over.
    package var adopts: Bool

    package init(entries: [DeclaredEntry], keeper: String, prunes: Bool = false, adopts: Bool = false) {
        (self.entries, self.keeper, self.prunes, self.adopts) = (entries, keeper, prunes, adopts)
    }
}

/// One entry of a declaration: all of it, so that what is not said has its default.
package struct DeclaredEntry: Sendable {
    /// Where it is said, such as `agents.yaml:12`.
    package let source: String
    /// Known by this from one declaration to the next; without it, by its SPIFFE ID, parent and selectors.
    package let id: String?
    /// Its terms count for nothing: those that are stored follow from ``terms``.
    package let contents: EntryContents
    package let terms: TermsRequest

    package init(source: String, id: String?, contents: EntryContents, terms: TermsRequest) {
        (self.source, self.id, self.contents, self.terms) = (source, id, contents, terms)
    }
}
