package import Logging
internal import Synchronization

/// Notices a store that was brought back, and holds all agents off until an admin has looked.
///
/// All of them, not only new ones: which bans the store has forgotten cannot be known, least of all where the mark is gone
/// as well. Agents go on with what they hold, and get nothing new, so an admin has about the lifetime of an SVID to ban
/// again and accept.
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
        var isNew = stored == 0
        if marked == nil, isNew { isNew = try await store.isUnused() }
        let rollback = Rollback(stored: stored, marked: marked, isNew: isNew)
        found = Mutex(rollback)
        if let rollback {
            logger.error(
                marked == nil
                    ? "store has no security mark, and may be older than it was; no agent is served"
                    : "store is older than it was; no agent is served",
                metadata: [
                    "revision.stored": "\(rollback.stored)",
                    "revision.marked": "\(rollback.marked.map { "\($0)" } ?? "none")",
                    "hint": "ban again what was banned since, then run 'mintmark server accept-rollback'",
                ])
        } else {
            // A new store gets its mark before its first use; and the last use may have been written and not marked, as
            // by a crash between the two.
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
        let marked: UInt64? = found.withLock { found in
            guard let old = found else { return revision }
            // Without a mark it stays without one: a first one would make the next start believe the store.
            guard let once = old.marked else { return nil }
            let next = max(once, revision) + 1
            found = Rollback(stored: revision, known: next)
            return next
        }
        guard let marked else { return }
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
        let (dropped, revision): (Int, UInt64)
        do {
            dropped = try await store.acceptRollback(to: rollback.marked ?? rollback.stored)
            revision = try await store.securityRevision()
        } catch { throw .store(error) }
        do throws(SecurityMarkError) { try mark?.raise(to: revision) } catch {
            throw .unmarked(detail: "\(error)")
        }
        found.withLock { $0 = nil }
        return dropped
    }
}

extension Logger {
    /// Tells nobody.
    package static var silent: Logger { Logger(label: "silent") { _ in SwiftLogNoOpLogHandler() } }
}
