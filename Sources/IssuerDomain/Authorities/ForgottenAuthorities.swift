/// Authorities whose private keys were in memory alone and ended with the process that had them.
package enum ForgottenAuthorities {
    /// Retires what a server signed with in an earlier life, so that it is still trusted for what it signed, and the server
    /// makes itself new authorities.
    ///
    /// Only for key stores that do not outlive the process: of any other, a missing key is an error.
    ///
    /// - Parameters:
    ///   - server: Whose authorities; those of others have keys elsewhere.
    ///   - store: Where the records are.
    /// - Throws: ``StoreError``; then nothing changed.
    package static func retire(of server: ServerID, in store: any AuthorityStore) async throws(StoreError) {
        let retired = try await store.loadAuthorities().authorities.filter { $0.isOwned(by: server) }
            .compactMap { record -> AuthorityRecord? in
                var record = record
                // From every other state there is no way to signing.
                guard (try? record.take(.retire)) != nil else { return nil }
                return record
            }
        guard !retired.isEmpty else { return }
        _ = try await store.apply(retired.map { .put($0) })
    }
}
