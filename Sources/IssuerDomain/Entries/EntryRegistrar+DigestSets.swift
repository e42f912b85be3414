package import Foundation
internal import Platform

extension EntryRegistrar {
    /// Creates a digest set.
    ///
    /// - Returns: The set, or why there is none.
    /// - Throws: ``StoreError``; then nothing was changed.
    package func createDigestSet(
        name: String, keeps: Int, grace: Duration, digests: [String], now: Date
    ) async throws(StoreError) -> Result<DigestSet, EntryError> {
        try await changeDigestSet { index throws(EntryError) in
            let set = try DigestSet.new(name: name, keeps: keeps, grace: grace, digests: digests, now: now)
            guard index.digestSets[name] == nil else { throw .digestSetExists(name: name) }
            guard index.digestSets.count < DigestSet.maximumSets else {
                throw .tooMany(field: "digest sets", limit: DigestSet.maximumSets)
            }
            return set
        }
    }

    /// Adds a version to a digest set; the entries that go by it change with it, in one transaction.
    ///
    /// - Parameters:
    ///   - name: The set.
    ///   - digests: All of the new version's.
    ///   - dropsOthers: Whether the versions before end at once.
    ///   - now: When the version comes into force.
    /// - Returns: The set, or why it stays as it was.
    /// - Throws: ``StoreError``; then nothing was changed.
    package func addVersion(
        to name: String, digests: [String], dropsOthers: Bool, now: Date
    ) async throws(StoreError) -> Result<DigestSet, EntryError> {
        try await changeDigestSet { index throws(EntryError) in
            guard let set = index.digestSets[name] else { throw .digestSetMissing(name: name) }
            return try set.adding(digests, now: now, dropsOthers: dropsOthers)
        }
    }

    /// Deletes a digest set that no entry goes by.
    ///
    /// - Returns: Its name, or why it stays.
    /// - Throws: ``StoreError``; then nothing was changed.
    package func deleteDigestSet(_ name: String) async throws(StoreError) -> Result<String, EntryError> {
        try await writing.pass { () async throws(StoreError) in
            let (exists, users) = self.read { ($0.digestSets[name] != nil, $0.entries(using: name).count) }
            guard exists else { return .failure(.digestSetMissing(name: name)) }
            // An entry whose set is gone would match nothing; that must be somebody's decision.
            guard users == 0 else { return .failure(.digestSetInUse(name: name, entries: users)) }
            try await self.commit([.deleteDigestSet(name: name)])
            return .success(name)
        }
    }

    private func changeDigestSet(
        _ decide: @escaping @Sendable (borrowing EntryIndex) throws(EntryError) -> DigestSet
    ) async throws(StoreError) -> Result<DigestSet, EntryError> {
        try await writing.pass { () async throws(StoreError) in
            let decision: (Result<DigestSet, EntryError>, [Entry]) = self.read { index in
                let result = Result { () throws(EntryError) in try decide(index) }
                return (result, (try? result.get()).map { index.entries(using: $0.name) } ?? [])
            }
            guard case .success(let set) = decision.0 else { return decision.0 }
            // Agents sync by the revisions of entries, so these must say that something is new.
            let touched = decision.1.map { entry in
                var entry = entry
                entry.revision += 1
                return EntryChange.put(entry)
            }
            try await self.commit([.putDigestSet(set)] + touched)
            return decision.0
        }
    }
}
