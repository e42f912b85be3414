package import Logging
internal import Synchronization

/// Notices a store that was brought back, and keeps nodes out until an admin has looked.
final class RollbackGuard: Sendable {
    private let store: any AgentStore
    private let mark: (any SecurityMark)?
    private let logger: Logger
    private let found: Mutex<Rollback?>

    /// Compares the store with its mark.
    ///
    /// - Throws: ``StoreError``, ``SecurityMarkError``.
    init(store: any AgentStore, mark: (any SecurityMark)?, logger: Logger) async throws {
        (self.store, self.mark, self.logger) = (store, mark, logger)
        guard let mark else {
            found = Mutex(nil)
            return
        }
        let (stored, marked) = (try await store.securityRevision(), try mark.read())
        let rollback = Rollback(stored: stored, marked: marked)
        found = Mutex(rollback)
        if let rollback {
            logger.error(
                "store is older than it was; no new node is let in",
                metadata: [
                    "revision.stored": "\(rollback.stored)", "revision.marked": "\(rollback.marked)",
                    "hint": "ban again what was banned since, then run 'mintmark server accept-rollback'",
                ])
        } else if stored > marked {
            // The last use was written and not marked, as by a crash between the two.
            try mark.raise(to: stored)
        }
    }

    var rollback: Rollback? { found.withLock { $0 } }

    /// Passes unless the store was brought back.
    func requireSound() throws(AgentRefusal) {
        guard rollback == nil else { throw .rolledBack }
    }

    /// Raises the mark to a revision that the store holds.
    ///
    /// - Throws: ``AgentRefusal/unmarked(detail:)``.
    func note(_ revision: UInt64) throws(AgentRefusal) {
        guard let mark else { return }
        // A store behind its mark must not catch up with it by what is done now.
        let marked = found.withLock { found in
            guard let old = found else { return revision }
            let next = max(old.marked, revision) + 1
            found = Rollback(stored: revision, marked: next)
            return next
        }
        do throws(SecurityMarkError) { try mark.raise(to: marked) } catch {
            logger.error("security mark cannot be raised", metadata: ["error": "\(error)"])
            throw .unmarked(detail: "\(error)")
        }
    }

    /// Raises the mark to what the store holds now, where an earlier attempt may have failed.
    ///
    /// - Throws: ``AgentRefusal``.
    func noteCurrent() async throws(AgentRefusal) {
        guard mark != nil, rollback == nil else { return }
        let revision: UInt64
        do { revision = try await store.securityRevision() } catch { throw .store(error) }
        try note(revision)
    }

    /// Lets the store go on from its mark, without the join tokens that it may have seen used.
    ///
    /// - Returns: How many tokens were dropped; nil when there was nothing to accept.
    /// - Throws: ``AgentRefusal``.
    func accept() async throws(AgentRefusal) -> Int? {
        guard let rollback else { return nil }
        let dropped: Int
        do { dropped = try await store.acceptRollback(to: rollback.marked) } catch { throw .store(error) }
        found.withLock { $0 = nil }
        return dropped
    }
}

extension Logger {
    /// Tells nobody.
    package static var silent: Logger { Logger(label: "silent") { _ in SwiftLogNoOpLogHandler() } }
}
