internal import Foundation
internal import GRDB
package import IssuerDomain
package import SPIFFE
internal import Synchronization

/// The embedded store: one SQLite file in WAL mode, one writer, every commit flushed to disk.
///
/// Each port's methods are in an extension of their own; all of them go through ``read(_:)`` and ``write(_:)``, which
/// translate SQLite's errors.
package final class SQLiteStore: Sendable {
    private let pool: DatabasePool
    private let errorCount = Mutex<UInt64>(0)

    /// How often it did not do what it was asked.
    package var errors: UInt64 { errorCount.withLock { $0 } }

    /// Opens a store, creating it where missing, and checks that it is whole and belongs to the trust domain.
    ///
    /// - Parameters:
    ///   - path: The file; created readable by its owner alone.
    ///   - trustDomain: Whose registrations it holds.
    /// - Throws: ``StoreError``; a file that cannot be read back is never changed.
    package init(path: String, trustDomain: TrustDomain) throws(StoreError) {
        do {
            try StoreFile.createPrivate(path)
            try Self.checkUntouched(path)
            var configuration = Configuration()
            // Searches of the issuance record take long; there is room for others beside them.
            configuration.maximumReaderCount = 6
            configuration.busyMode = .timeout(5)
            configuration.label = "mintmark"
            pool = try DatabasePool(path: path, configuration: configuration)
            // A commit that was acknowledged survives a power cut, not just a crash of the process. Said only now: a pool
            // sets a lesser level when it turns on WAL, after everything that its configuration can say.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try Schema.migrator.migrate(pool)
            try Self.claim(pool, for: trustDomain)
        } catch { throw StoreErrorTranslation.translate(error) }
    }

    /// Closes the file after the writes under way.
    package func close() throws(StoreError) {
        do {
            // Leaves one whole file behind, which can be copied as it is.
            try pool.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
            try pool.close()
        } catch { throw StoreErrorTranslation.translate(error) }
    }

    /// How hard commits are flushed, as SQLite counts it.
    ///
    /// - Returns: 2 for FULL.
    /// - Throws: ``StoreError``.
    package func flushLevel() async throws(StoreError) -> Int? {
        try await write { db in try Int.fetchOne(db, sql: "PRAGMA synchronous") }
    }

    func read<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        do { return try await pool.read(body) } catch { throw counted(error) }
    }

    func write<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        do { return try await pool.write(body) } catch { throw counted(error) }
    }

    private func counted(_ error: any Error) -> StoreError {
        // Whoever stopped waiting says nothing of the store.
        if !(error is CancellationError) { errorCount.withLock { $0 &+= 1 } }
        return StoreErrorTranslation.translate(error)
    }

    /// Writes, and goes on to the end also when the caller is cancelled.
    func writeToTheEnd(_ body: @escaping @Sendable (Database) throws -> Void) async throws(StoreError) {
        let result: Result<Void, StoreError> = await withCheckedContinuation { continuation in
            pool.asyncWriteWithoutTransaction { db in
                do {
                    try db.inTransaction {
                        try body(db)
                        return .commit
                    }
                    continuation.resume(returning: .success(()))
                } catch { continuation.resume(returning: .failure(self.counted(error))) }
            }
        }
        try result.get()
    }

    /// Judges a file without writing to it: one that is refused stays as it was, for whoever has to mend it.
    private static func checkUntouched(_ path: String) throws {
        guard !StoreFile.isEmpty(path) else { return }
        var configuration = Configuration()
        configuration.readonly = true
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        let (verdict, isTooNew) = try queue.read { db in
            (try String.fetchOne(db, sql: "PRAGMA quick_check(1)"), try Schema.migrator.hasBeenSuperseded(db))
        }
        try queue.close()
        guard verdict == "ok" else { throw StoreError.corrupt(detail: verdict ?? "no verdict") }
        guard !isTooNew else { throw StoreError.tooNew(detail: "it has migrations that this version does not know") }
    }

    private static func claim(_ pool: DatabasePool, for trustDomain: TrustDomain) throws {
        let owner = try pool.write { db in
            try db.execute(
                sql: "INSERT INTO meta (name, value) VALUES ('trust_domain', ?) ON CONFLICT (name) DO NOTHING",
                arguments: [trustDomain.name])
            return try String.fetchOne(db, sql: "SELECT value FROM meta WHERE name = 'trust_domain'")
        }
        guard owner == trustDomain.name else {
            throw StoreError.otherTrustDomain(stored: owner ?? "", asked: trustDomain.name)
        }
    }
}
