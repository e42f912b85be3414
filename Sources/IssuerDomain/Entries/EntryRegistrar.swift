package import Foundation
package import Platform
package import SPIFFE
internal import Synchronization

/// Registers entries: decides on the index, makes it durable, then lets everyone see it.
package final class EntryRegistrar: Sendable {
    package let trustDomain: TrustDomain
    let defaults: AssuranceDefaults
    private let store: any EntryStore
    private let feed: RevisionFeed
    let holdsBundle: @Sendable (TrustDomain) -> Bool
    let maximumEntries: Int
    let lifetimes: @Sendable (Date) -> EntryLifetimes?
    private let index: Mutex<EntryIndex>
    let writing = Turnstile()

    /// Reads the store and announces its revision.
    ///
    /// - Parameters:
    ///   - trustDomain: The issuer's own.
    ///   - defaults: The terms of entries for which nobody says any.
    ///   - store: Where entries are kept.
    ///   - feed: Told of each change.
    ///   - maximumEntries: How many there may be.
    ///   - lifetimes: What decides how long SVIDs live; nil where nobody is to be warned of that.
    ///   - holdsBundle: Whether the bundle of another trust domain is there; entries federate with no others.
    /// - Throws: ``StoreError``.
    package init(
        trustDomain: TrustDomain, defaults: AssuranceDefaults = .init(), store: any EntryStore, feed: RevisionFeed,
        maximumEntries: Int = 1_000_000, lifetimes: @escaping @Sendable (Date) -> EntryLifetimes? = { _ in nil },
        holdsBundle: @escaping @Sendable (TrustDomain) -> Bool = { _ in true }
    ) async throws(StoreError) {
        let loaded = try await store.loadEntries()
        let digestSets = try await store.loadDigestSets()
        (self.trustDomain, self.defaults) = (trustDomain, defaults)
        self.store = store
        self.feed = feed
        self.holdsBundle = holdsBundle
        self.maximumEntries = maximumEntries
        self.lifetimes = lifetimes
        index = Mutex(EntryIndex(entries: loaded.entries, digestSets: digestSets, revision: loaded.revision))
        feed.announce(loaded.revision)
    }

    /// Reads from the index; what the body returns is a consistent view.
    package func read<Value>(_ body: (borrowing EntryIndex) -> sending Value) -> sending Value {
        index.withLock { body($0) }
    }

    /// Creates entries, each on its own merits, in one transaction.
    ///
    /// - Parameters:
    ///   - drafts: An ID that the admin chose, or nil, and the contents.
    ///   - now: When they are created.
    ///   - entropy: For the IDs of the others.
    /// - Returns: An entry or a refusal for each draft, in order.
    /// - Throws: ``StoreError``; then none was created.
    package func create(
        _ drafts: [EntryDraft], now: Date, using entropy: some Entropy
    ) async throws(StoreError) -> [Result<Entry, EntryError>] {
        try await writing.pass { () async throws(StoreError) in
            var entropy = entropy
            var keys: [EntryKey: Entry] = [:]
            var ids: Set<String> = []
            var changes: [EntryChange] = []
            let results = drafts.map { draft in
                Result { () throws(EntryError) -> Entry in
                    let entry = try self.admit(draft, now: now, keys: keys, ids: ids, using: &entropy)
                    keys[entry.contents.key] = entry
                    ids.insert(entry.id)
                    changes.append(.put(entry))
                    return entry
                }
            }
            try await self.commit(changes)
            return results
        }
    }

    /// Judges an entry without creating it.
    ///
    /// - Throws: ``EntryError``, as creating it would.
    package func judge(_ draft: EntryDraft, now: Date, using entropy: some Entropy) throws(EntryError) {
        var entropy = entropy
        _ = try admit(draft, now: now, keys: [:], ids: [], using: &entropy)
    }

    /// Changes entries, each on its own merits, in one transaction.
    ///
    /// - Parameters:
    ///   - patches: The ID of an entry and what to change in it.
    ///   - now: When they are changed.
    /// - Returns: An entry or a refusal for each patch, in order.
    /// - Throws: ``StoreError``; then none was changed.
    package func update(
        _ patches: [EntryPatch], now: Date
    ) async throws(StoreError) -> [Result<Entry, EntryError>] {
        try await writing.pass { () async throws(StoreError) in
            // Later patches see what earlier ones in the same batch did.
            var draft = self.index.withLock { $0 }
            var changes: [EntryChange] = []
            let results = patches.map { patch in
                Result { () throws(EntryError) -> Entry in
                    guard !patch.id.isEmpty else { throw .invalidEntryID }
                    guard var entry = draft[patch.id] else { throw .notFound(id: patch.id) }
                    let old = entry.contents
                    patch.change(&entry.contents)
                    entry.contents.terms = patch.terms.terms(
                        replacing: old, selectors: entry.contents.decidingSelectors, defaults: self.defaults)
                    try EntryRules.check(
                        entry.contents, in: self.trustDomain, now: now, replacing: old,
                        insistence: patch.terms.insistence)
                    try self.checkBundles(of: entry.contents, replacing: old)
                    try draft.requireDigestSets(of: entry.contents)
                    if let other = draft.entry(with: entry.contents.key), other.id != entry.id { throw .exists(other) }
                    entry.revision += 1
                    try self.raiseObjections(to: .put(entry))
                    draft.apply([.put(entry)], revision: draft.revision)
                    changes.append(.put(entry))
                    return entry
                }
            }
            try await self.commit(changes)
            return results
        }
    }

    /// Deletes entries in one transaction.
    ///
    /// - Parameter ids: The entries.
    /// - Returns: The ID or a refusal for each, in order.
    /// - Throws: ``StoreError``; then none was deleted.
    package func delete(_ ids: [String]) async throws(StoreError) -> [Result<String, EntryError>] {
        try await writing.pass { () async throws(StoreError) in
            var deleted: Set<String> = []
            let results = ids.map { id in
                Result { () throws(EntryError) -> String in
                    guard !id.isEmpty else { throw .invalidEntryID }
                    try self.raiseObjections(to: .delete(id: id))
                    guard self.index.withLock({ $0[id] != nil }), deleted.insert(id).inserted else {
                        throw .notFound(id: id)
                    }
                    return id
                }
            }
            try await self.commit(deleted.sorted().map { .delete(id: $0) })
            return results
        }
    }

    /// Changes entries in one transaction with something else, while nobody else changes any.
    ///
    /// - Parameter body: Decides on the index as it is and makes everything durable; says what was done to entries and the
    ///   number of the last change, or nil when nothing was.
    /// - Returns: What the body returns first.
    /// - Throws: What the body throws.
    package func change<Value: Sendable>(
        _ body: @Sendable (EntryIndex) async throws(StoreError) -> (Value, changes: [EntryChange], revision: UInt64?)
    ) async throws(StoreError) -> Value {
        try await writing.pass { () async throws(StoreError) in
            let (value, changes, revision) = try await body(self.index.withLock { $0 })
            if let revision {
                self.index.withLock { $0.apply(changes, revision: revision) }
                self.feed.announce(revision)
            }
            return value
        }
    }

    /// Domains that were there are not judged again.
    private func checkBundles(of contents: EntryContents, replacing old: EntryContents? = nil) throws(EntryError) {
        for domain in contents.federatesWith where !(old?.federatesWith.contains(domain) ?? false) {
            guard holdsBundle(domain) else { throw .bundleMissing(domain) }
        }
    }

    private func admit(
        _ draft: EntryDraft, now: Date, keys: [EntryKey: Entry], ids: Set<String>, using entropy: inout some Entropy
    ) throws(EntryError) -> Entry {
        var contents = draft.contents
        contents.terms = draft.terms.terms(for: contents.decidingSelectors, defaults: defaults)
        try EntryRules.check(contents, in: trustDomain, now: now, insistence: draft.terms.insistence)
        try checkBundles(of: contents)
        try index.withLock { index throws(EntryError) in try index.requireDigestSets(of: contents) }
        if let id = draft.id { try EntryRules.check(id: id) }
        let key = draft.contents.key
        if let existing = keys[key] ?? index.withLock({ $0.entry(with: key) }) { throw .exists(existing) }
        let id = draft.id ?? RandomID.draw(using: &entropy)
        guard !ids.contains(id), index.withLock({ $0[id] == nil }) else { throw .idTaken }
        guard index.withLock({ $0.count }) + ids.count < maximumEntries else {
            throw .tooManyEntries(limit: maximumEntries)
        }
        // Stored to the second, as the API shows it.
        let entry = Entry(id: id, contents: contents, revision: 0, createdAt: now.wholeSecond)
        try raiseObjections(to: .put(entry))
        return entry
    }

    private func raiseObjections(to change: EntryChange) throws(EntryError) {
        if let error = store.objection(to: change) { throw .objection(error) }
    }

    func commit(_ changes: [EntryChange]) async throws(StoreError) {
        guard !changes.isEmpty else { return }
        let revision = try await store.apply(changes)
        index.withLock { $0.apply(changes, revision: revision) }
        feed.announce(revision)
    }
}

/// An entry that somebody would like to exist.
package struct EntryDraft: Sendable {
    package let id: String?
    /// Its terms count for nothing: those that are stored follow from ``terms``.
    package let contents: EntryContents
    package let terms: TermsRequest

    package init(id: String? = nil, contents: EntryContents, terms: TermsRequest = .init()) {
        (self.id, self.contents, self.terms) = (id, contents, terms)
    }
}

/// A change that somebody would like made to one entry.
package struct EntryPatch: Sendable {
    package let id: String
    package let terms: TermsRequest
    /// Everything but the terms.
    package let change: @Sendable (inout EntryContents) -> Void

    package init(
        id: String, terms: TermsRequest = .init(), change: @escaping @Sendable (inout EntryContents) -> Void
    ) {
        (self.id, self.terms, self.change) = (id, terms, change)
    }
}
