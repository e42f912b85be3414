/// A store that is older than what was done with it: a restored backup, or a snapshot that was brought back.
///
/// Every use of a join token, every ban and every eviction raises the store's security revision, and then a mark that lies
/// beside the store. A store below its mark has forgotten some of them. The mark says that something is forgotten, not
/// what; and whoever brings back the mark together with the store is not noticed.
package struct Rollback: Hashable, Sendable {
    /// The revision that the store holds.
    package let stored: UInt64
    /// The revision that it once held.
    package let marked: UInt64

    /// Judges a store by its mark.
    ///
    /// - Returns: nil when nothing was forgotten.
    package init?(stored: UInt64, marked: UInt64) {
        guard stored < marked else { return nil }
        (self.stored, self.marked) = (stored, marked)
    }
}
