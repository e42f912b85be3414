/// A store that is older than what was done with it: a restored backup, or a snapshot that was brought back.
///
/// Every use of a join token, every ban and every eviction raises the store's security revision, and then a mark that lies
/// beside the store. A store below its mark has forgotten some of them, and one that was used and has no mark at all, as when it
/// was brought to another folder alone, may have. The mark says that something is forgotten, not what; and whoever brings
/// back the mark together with the store is not noticed: where that can happen, the mark belongs elsewhere.
package struct Rollback: Hashable, Sendable {
    /// The revision that the store holds.
    package let stored: UInt64
    /// The revision that it once held; nil when that is not known.
    package let marked: UInt64?

    /// Judges a store by its mark; nil when nothing was forgotten.
    ///
    /// - Parameters:
    ///   - stored: The store's revision.
    ///   - marked: The mark; nil when there is none.
    ///   - isNew: Whether nobody has used the store, so that there need be no mark.
    package init?(stored: UInt64, marked: UInt64?, isNew: Bool) {
        if let marked { guard stored < marked else { return nil } } else { guard !isNew else { return nil } }
        (self.stored, self.marked) = (stored, marked)
    }

    /// A rollback that is known already; ``init(stored:marked:isNew:)`` judges.
    init(stored: UInt64, known marked: UInt64) { (self.stored, self.marked) = (stored, marked) }
}
