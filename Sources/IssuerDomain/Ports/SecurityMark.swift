/// The highest security revision that a store ever held, kept where a rollback of the store does not reach.
package protocol SecurityMark: Sendable {
    /// Reads the mark.
    ///
    /// - Returns: nil when there is none.
    /// - Throws: ``SecurityMarkError``.
    func read() throws(SecurityMarkError) -> UInt64?

    /// Raises the mark, durably, or makes it; one that is as high already stays.
    ///
    /// - Throws: ``SecurityMarkError``.
    func raise(to revision: UInt64) throws(SecurityMarkError)
}

/// Why a mark cannot be read or raised.
package struct SecurityMarkError: Error, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
