package import Foundation
package import Logging
package import Platform
package import SPIFFE
internal import Synchronization
internal import X509

/// Keeps the signing authorities of this issuer alive: creates, prepares, activates, retires and drops them.
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

    /// What issuance reads: one consistent view.
    package struct Snapshot: Sendable {
        package let x509: X509Authority
        package let jwt: JWTAuthority
        package let bundle: TrustBundle
        package let records: [AuthorityRecord]
    }

    private let trustDomain: TrustDomain
    private let settings: Settings
    private let store: any AuthorityStore
    private let keys: any SigningKeyStore
    private let feed: RevisionFeed
    private let logger: Logger
    private let state: Mutex<Snapshot>
    private let changing = Turnstile()

    /// The clock may step back this far below an authority's start before signing is refused.
    private static let clockTolerance: TimeInterval = 1

    /// Certificates start a little in the past, for verifiers with slow clocks.
    package static let backdate: TimeInterval = 10

    /// Loads the authorities, or makes the first ones, and names keys that no record knows.
    ///
    /// - Parameters:
    ///   - trustDomain: Whose authorities.
    ///   - settings: How new ones are made.
    ///   - store: Keeps the records.
    ///   - keys: Keeps the private keys.
    ///   - feed: Hears of every change.
    ///   - now: The time.
    ///   - entropy: For names and serial numbers.
    ///   - logger: For what happened.
    /// - Throws: ``AuthorityError``; `clockBeforeAuthority` when the clock cannot be right.
    package init(
        trustDomain: TrustDomain, settings: Settings, store: any AuthorityStore, keys: any SigningKeyStore,
        feed: RevisionFeed, now: Date, using entropy: some Entropy, logger: Logger
    ) async throws(AuthorityError) {
        var entropy = entropy
        let maker = AuthorityMaker(trustDomain: trustDomain, settings: settings, keys: keys)
        var loaded: (authorities: [AuthorityRecord], sequence: UInt64)
        do { loaded = try await store.loadAuthorities() } catch { throw .store(error) }
        if let active = loaded.authorities.filter({ $0.state == .active }).max(by: { $0.notBefore < $1.notBefore }),
            now + Self.clockTolerance < active.notBefore
        {
            throw .clockBeforeAuthority(now: now, start: active.notBefore)
        }
        let plan = try await maker.plan(for: loaded.authorities, now: now, using: &entropy)
        if !plan.changes.isEmpty {
            do { loaded.sequence = try await store.apply(plan.changes) } catch { throw .store(error) }
        }
        self.trustDomain = trustDomain
        self.settings = settings
        self.store = store
        self.keys = keys
        self.feed = feed
        self.logger = logger
        state = Mutex(try await maker.snapshot(of: plan.records, sequence: loaded.sequence))
        try await drop(plan.dropped)
        try await warnOfKeys(notNamedBy: plan.records)
        feed.announce(loaded.sequence)
    }

    /// What issuance reads now.
    package var snapshot: Snapshot { state.withLock { $0 } }

    /// Does what is due.
    ///
    /// Safe to call at any time.
    ///
    /// - Returns: Whether anything changed.
    /// - Throws: ``AuthorityError``; then nothing changed.
    @discardableResult
    package func tend(now: Date, using entropy: some Entropy) async throws(AuthorityError) -> Bool {
        try await changing.pass { () async throws(AuthorityError) in
            var entropy = entropy
            let maker = AuthorityMaker(
                trustDomain: self.trustDomain, settings: self.settings, keys: self.keys)
            let plan = try await maker.plan(for: self.snapshot.records, now: now, using: &entropy)
            guard !plan.changes.isEmpty else { return false }
            let sequence: UInt64
            do throws(StoreError) { sequence = try await self.store.apply(plan.changes) } catch { throw .store(error) }
            let snapshot = try await maker.snapshot(of: plan.records, sequence: sequence)
            self.state.withLock { $0 = snapshot }
            self.feed.announce(sequence)
            for change in plan.changes {
                switch change {
                case .put(let record):
                    self.logger.info(
                        "authority changed",
                        metadata: [
                            "authority.id": "\(record.id)", "authority.kind": "\(record.kind.rawValue)",
                            "authority.state": "\(record.state.rawValue)",
                            "authority.expires_at": "\(record.notAfter.formatted(.iso8601))",
                        ])
                case .delete(let id):
                    self.logger.info("authority dropped", metadata: ["authority.id": "\(id)"])
                }
            }
            try await self.drop(plan.dropped)
            return true
        }
    }

    /// Destroys the keys of authorities whose records are gone for good.
    private func drop(_ records: [AuthorityRecord]) async throws(AuthorityError) {
        do throws(KeyStoreError) {
            for record in records { try await keys.delete(record.keyName) }
        } catch { throw .keyStore(error) }
    }

    /// Warns of keys that no record names.
    ///
    /// A crash between making a key and recording it leaves a key that nothing uses. So does a database that was lost or
    /// restored from an older backup, and then the key may be wanted again: it is named, never destroyed.
    private func warnOfKeys(notNamedBy records: [AuthorityRecord]) async throws(AuthorityError) {
        let named = Set(records.map(\.keyName))
        let names: [String]
        do { names = try await keys.names() } catch { throw .keyStore(error) }
        for name in names where !named.contains(name) {
            logger.warning(
                "key without a record; the database may be older than the keys", metadata: ["key.name": "\(name)"])
        }
    }
}
