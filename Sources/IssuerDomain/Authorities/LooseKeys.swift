internal import Synchronization

/// Keys that may be in no record: made and not recorded yet, or dropped and not destroyed yet.
///
/// They are in memory, and in the notes that outlive a crash.
final class LooseKeys: Sendable {
    private let notes: (any KeyNotes)?
    private let names: Mutex<Set<String>>

    /// Reads what was loose when the last run ended.
    ///
    /// - Throws: ``KeyStoreError``.
    init(notes: (any KeyNotes)?) async throws(KeyStoreError) {
        self.notes = notes
        names = Mutex(try await notes?.read() ?? [])
    }

    var all: Set<String> { names.withLock { $0 } }

    /// Notes keys before they are made, or before their records are dropped.
    ///
    /// - Throws: ``KeyStoreError``; then neither must be done.
    func add(_ loose: [String]) async throws(KeyStoreError) {
        try await change { $0.formUnion(loose) }
    }

    /// Strikes out keys that are recorded or gone.
    ///
    /// - Throws: ``KeyStoreError``; then the notes name more than they need to, which does no harm.
    func remove(_ settled: Set<String>) async throws(KeyStoreError) {
        try await change { $0.subtract(settled) }
    }

    private func change(_ body: (inout Set<String>) -> Void) async throws(KeyStoreError) {
        let noted: Set<String>? = names.withLock { names in
            let before = names
            body(&names)
            return names == before ? nil : names
        }
        if let noted { try await notes?.write(noted) }
    }
}
