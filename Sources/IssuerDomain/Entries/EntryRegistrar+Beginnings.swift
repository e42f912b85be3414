package import Foundation
internal import Platform

extension EntryRegistrar {
    /// Tells agents of entries whose time has begun since the last look.
    ///
    /// - Parameters:
    ///   - last: When it was looked last.
    ///   - now: The time.
    /// - Returns: How many began.
    /// - Throws: ``StoreError``.
    package func announceBeginnings(after last: Date, until now: Date) async throws(StoreError) -> Int {
        guard last < now else { return 0 }
        return try await writing.pass { () async throws(StoreError) in
            let begun = self.read { index in
                index.entries.filter { entry in
                    guard let notBefore = entry.contents.details.notBefore else { return false }
                    return notBefore > last && notBefore <= now && entry.contents.isInForce(at: now)
                }
            }
            try await self.commit(
                begun.map { entry in
                    var entry = entry
                    entry.revision += 1
                    return .put(entry)
                })
            return begun.count
        }
    }
}
