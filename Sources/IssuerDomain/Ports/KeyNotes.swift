/// The names of keys that may be in no record, kept where a crash does not reach them.
///
/// A key and the record of its authority lie in different places, so a crash between the two leaves a key that no record
/// names. Only a note tells it from one whose record was lost with a database, and which may be wanted again.
package protocol KeyNotes: Sendable {
    /// Reads the names.
    ///
    /// - Throws: ``KeyStoreError``.
    func read() async throws(KeyStoreError) -> Set<String>

    /// Replaces the names, durably.
    ///
    /// - Throws: ``KeyStoreError``.
    func write(_ names: Set<String>) async throws(KeyStoreError)
}
