package import Foundation
package import Logging
package import Platform
package import SPIFFE
internal import Synchronization
internal import X509

/// Keeps the signing authorities of this server alive: creates, prepares, activates, retires and drops them.
///
/// The store may hold those of other servers too. They are published with this one's and left alone, but for what ended
/// long ago.
package final class AuthorityKeeper: Sendable {
    /// How authorities are made.
    package struct Settings: Hashable, Sendable {
        package var lifetime: Duration
        package var x509KeyType: SigningKeyType
        package var jwtKeyType: SigningKeyType

        package init(
            lifetime: Duration = .seconds(24 * 3600), x509KeyType: SigningKeyType = .ecP256,
            jwtKeyType: SigningKeyType = .ecP256
        ) {
            (self.lifetime, self.x509KeyType, self.jwtKeyType) = (lifetime, x509KeyType, jwtKeyType)
        }
    }

    let server: ServerID
    let maker: AuthorityMaker
    private let store: any AuthorityStore
    private let keys: any SigningKeyStore
    private let feed: RevisionFeed
    private let logger: Logger
    private let state: Mutex<Snapshot>
    private let changing = Turnstile()
    private let sight = Mutex(UpstreamSight())
    /// Keys to destroy once no record wants them; they stay in here until they are gone.
    private let doomed: Mutex<Set<String>>

    /// Certificates start a little in the past, for verifiers with slow clocks.
    package static let backdate: TimeInterval = 10

    /// Loads the authorities, or makes the first ones, and names keys that no record knows.
    ///
    /// - Parameters:
    ///   - trustDomain: Whose authorities.
    ///   - settings: How new ones are made.
    ///   - server: Which of the trust domain's servers this is.
    ///   - store: Keeps the records.
    ///   - keys: Keeps the private keys of this server.
    ///   - notes: Keeps the names of keys that may be in no record; nil where no key outlives the process.
    ///   - upstream: What signs this server's X.509 authorities; nil when they vouch for themselves.
    ///   - feed: Hears of every change.
    ///   - now: The time.
    ///   - entropy: For names and serial numbers.
    ///   - logger: For what happened.
    /// - Throws: ``AuthorityError``.
    package init(
        trustDomain: TrustDomain, settings: Settings, server: ServerID, store: any AuthorityStore,
        keys: any SigningKeyStore, notes: (any KeyNotes)? = nil, upstream: (any UpstreamAuthority)? = nil,
        feed: RevisionFeed, now: Date, using entropy: some Entropy, logger: Logger
    ) async throws(AuthorityError) {
        var entropy = entropy
        let loose: LooseKeys
        do { loose = try await LooseKeys(notes: notes) } catch { throw .keyStore(error) }
        let unfinished = loose.all
        let maker = AuthorityMaker(
            trustDomain: trustDomain, settings: settings, server: server, keys: keys, loose: loose,
            upstream: upstream)
        var loaded: (authorities: [AuthorityRecord], sequence: UInt64)
        do { loaded = try await store.loadAuthorities() } catch { throw .store(error) }
        var draft = AuthorityDraft(loaded.authorities)
        let names: [String]
        do { names = try await keys.names() } catch { throw .keyStore(error) }
        draft.claim(for: server, keys: Set(names))
        let active = draft.records.filter { $0.isOwned(by: server) && $0.state == .active }
        if let start = active.map(\.notBefore).max(), AuthoritySchedule.isEarly(start, now: now) {
            logger.warning(
                "clock is before the signing authority, or was ahead when it was made; it is replaced",
                metadata: ["authority.starts_at": "\(start.formatted(.iso8601))"])
        }
        // Nothing tells yet whether the clock is right, so nothing is forgotten on its word.
        let failures = await maker.tend(&draft, now: now, mayForget: false, isStart: true, using: &entropy)
        let first: Snapshot
        do throws(AuthorityError) {
            for (kind, failure) in failures {
                // What still signs can go on signing until its successor can be made.
                guard active.contains(where: { $0.kind == kind && AuthoritySchedule.canSign($0, now: now) }) else {
                    throw failure
                }
                logger.error("successor of an authority not made", metadata: ["error": "\(failure)"])
            }
            if !draft.changes.isEmpty {
                loaded.sequence = try await Self.commit(draft, to: store, noting: loose)
            }
            first = try await maker.snapshot(of: draft.records, sequence: loaded.sequence)
        } catch {
            // What the store holds says whether the changes were lost, and their keys with them.
            if let records = try? await store.loadAuthorities().authorities {
                _ = await Self.destroy(
                    draft.createdKeys + draft.doomedKeys, notOf: records, server: server, in: keys, logger: logger)
            }
            throw error
        }
        self.server = server
        self.maker = maker
        self.store = store
        self.keys = keys
        self.feed = feed
        self.logger = logger
        state = Mutex(first)
        // A key that outlived its authority, as by a crash in between, goes now.
        let revoked = draft.records.filter { $0.state == .revoked && $0.isOwned(by: server) }.compactMap(\.keyName)
        let unwanted = Set(names).intersection(revoked).union(unfinished)
        doomed = Mutex(unwanted.union(draft.doomedKeys).union(draft.createdKeys))
        sight.withLock { [vouched = draft.vouched] in $0.vouch(vouched.ids, now: vouched.at) }
        await destroyDoomed(records: draft.records)
        try await warnOfKeys(notNamedBy: draft.records)
        feed.announce(loaded.sequence)
    }

    /// What issuance reads now.
    package var snapshot: Snapshot { state.withLock { $0 } }

    /// Whether something above this server vouches for it.
    package var hasUpstream: Bool { maker.upstream != nil }

    /// Does what is due, and takes over what other servers changed.
    ///
    /// Safe to call at any time.
    ///
    /// - Parameters:
    ///   - now: The time.
    ///   - mayForget: Whether what has long ended may be dropped with its keys: not while the clock may be wrong.
    ///   - entropy: For names and serial numbers.
    /// - Returns: Whether anything changed.
    /// - Throws: ``AuthorityError``; then the kind of authority that could not be tended is as it was.
    @discardableResult
    package func tend(
        now: Date, mayForget: Bool = true, using entropy: some Entropy
    ) async throws(AuthorityError) -> Bool {
        let (failures, isNew) = try await changeNoting { [maker, server] draft throws(AuthorityError) in
            var entropy = entropy
            do throws(AuthorityRefusal) {
                try draft.drop(self.missingRoots(of: draft.records, now: now), now: now, server: server)
            } catch { throw .notAllowed(error) }
            return await maker.tend(&draft, now: now, mayForget: mayForget, using: &entropy)
        }
        for kind in AuthorityRecord.Kind.allCases { if let failure = failures[kind] { throw failure } }
        return isNew
    }

    /// Takes in everything that the upstream trusts now.
    func see(_ roots: Set<String>) { sight.withLock { $0.learn(roots) } }

    /// Which published roots of the upstream it trusts no more, and since when that is known.
    func missingRoots(of records: [AuthorityRecord], now: Date) -> [String: Date] {
        let roots = records.filter { $0.kind == .x509 && $0.origin == .upstream && $0.state != .revoked }
        return sight.withLock { [ids = Set(roots.map(\.id))] in $0.missing(of: ids, now: now) }
    }

    /// Changes the authorities as they are in the store now, one change at a time, and makes it durable before anybody
    /// sees it.
    ///
    /// - Throws: What the body throws, and ``AuthorityError``; then nothing changed.
    func change<Value: Sendable>(
        _ body: @Sendable (inout AuthorityDraft) async throws(AuthorityError) -> Value
    ) async throws(AuthorityError) -> Value {
        try await changeNoting(body).value
    }

    /// The same, and whether it, or another server before it, changed anything.
    private func changeNoting<Value: Sendable>(
        _ body: @Sendable (inout AuthorityDraft) async throws(AuthorityError) -> Value
    ) async throws(AuthorityError) -> (value: Value, isNew: Bool) {
        try await changing.pass { () async throws(AuthorityError) in
            var loaded: (authorities: [AuthorityRecord], sequence: UInt64)
            do throws(StoreError) { loaded = try await self.store.loadAuthorities() } catch { throw .store(error) }
            var draft = AuthorityDraft(loaded.authorities)
            let value: Value
            do throws(AuthorityError) { value = try await body(&draft) } catch {
                self.doom(draft.createdKeys)
                await self.destroyDoomed(records: loaded.authorities)
                throw error
            }
            if !draft.changes.isEmpty {
                do throws(AuthorityError) {
                    loaded.sequence = try await Self.commit(draft, to: self.store, noting: self.maker.loose)
                } catch {
                    self.doom(draft.createdKeys + draft.doomedKeys)
                    // What the store holds says whether the changes were lost, and their keys with them.
                    if let records = try? await self.store.loadAuthorities().authorities {
                        await self.destroyDoomed(records: records)
                    }
                    throw error
                }
            }
            self.doom(draft.doomedKeys + draft.createdKeys)
            self.sight.withLock { [vouched = draft.vouched] in $0.vouch(vouched.ids, now: vouched.at) }
            guard loaded.sequence != self.snapshot.bundle.sequence else {
                await self.destroyDoomed(records: draft.records)
                return (value, false)
            }
            let snapshot = try await self.maker.snapshot(of: draft.records, sequence: loaded.sequence)
            self.state.withLock { $0 = snapshot }
            self.feed.announce(loaded.sequence)
            for change in draft.changes { self.log(change) }
            await self.destroyDoomed(records: draft.records)
            return (value, true)
        }
    }

    /// Makes changes durable, and before that the names of the keys that they drop.
    ///
    /// - Returns: The sequence number of the bundle.
    private static func commit(
        _ draft: AuthorityDraft, to store: any AuthorityStore, noting loose: LooseKeys
    ) async throws(AuthorityError) -> UInt64 {
        do { try await loose.add(draft.doomedKeys) } catch { throw .keyStore(error) }
        do { return try await store.apply(draft.changes) } catch { throw .store(error) }
    }

    private func log(_ change: AuthorityChange) {
        switch change {
        case .put(let record):
            logger.info(
                "authority changed",
                metadata: [
                    "authority.id": "\(record.id)", "authority.kind": "\(record.kind.rawValue)",
                    "authority.state": "\(record.state.rawValue)",
                    "authority.expires_at": "\(record.notAfter.formatted(.iso8601))",
                ])
        case .delete(let kind, let id):
            logger.info("authority dropped", metadata: ["authority.id": "\(id)", "authority.kind": "\(kind.rawValue)"])
        }
    }

    private func doom(_ names: [String]) { doomed.withLock { $0.formUnion(names) } }

    /// Destroys keys that nothing will be signed with again; what cannot be destroyed now is tried again with the next
    /// change.
    private func destroyDoomed(records: [AuthorityRecord]) async {
        let names = doomed.withLock { $0 }
        guard !names.isEmpty else { return }
        let left = await Self.destroy(names.sorted(), notOf: records, server: server, in: keys, logger: logger)
        doomed.withLock { $0 = $0.subtracting(names).union(left) }
        do throws(KeyStoreError) { try await maker.loose.remove(names.subtracting(left)) } catch {
            logger.warning("note of loose keys not written", metadata: ["error": "\(error)"])
        }
    }

    /// Destroys keys that no record wants.
    ///
    /// - Returns: Those that could not be destroyed.
    private static func destroy(
        _ names: [String], notOf records: [AuthorityRecord], server: ServerID, in keys: any SigningKeyStore,
        logger: Logger
    ) async -> [String] {
        let wanted = Set(records.filter { $0.state != .revoked && $0.isOwned(by: server) }.compactMap(\.keyName))
        var left: [String] = []
        for name in names where !wanted.contains(name) {
            do throws(KeyStoreError) { try await keys.delete(name) } catch {
                logger.error(
                    "key not destroyed; it will be tried again",
                    metadata: ["key.name": "\(name)", "error": "\(error)"])
                left.append(name)
            }
        }
        return left
    }

    /// Warns of keys that no record names.
    ///
    /// What a crash left between a key and its record is noted, and gone by now. A key that is left was recorded in a
    /// database that was lost or restored from an older backup, and may be wanted again: it is named, never destroyed.
    private func warnOfKeys(notNamedBy records: [AuthorityRecord]) async throws(AuthorityError) {
        let named = Set(records.compactMap(\.keyName))
        let names: [String]
        do { names = try await keys.names() } catch { throw .keyStore(error) }
        for name in names where !named.contains(name) {
            logger.warning(
                "key without a record; the database may be older than the keys", metadata: ["key.name": "\(name)"])
        }
    }
}
