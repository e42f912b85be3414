internal import Foundation
internal import IssuerDomain
internal import Logging
internal import SPIFFE

/// The further names that agents got with their join tokens: entries that match one agent and no workload.
///
/// They go with the agent, or with a token that nobody used.
struct TokenAliases: Sendable {
    private static let agents = "/spire/agent/\(JoinToken.attestationType)/"

    let entries: EntryRegistrar
    let store: any AgentStore
    let logger: Logger

    /// Deletes the aliases of an agent that was evicted; what fails now, ``dropAbandoned()`` does.
    func drop(of agent: SPIFFEID) async {
        guard agent.path.hasPrefix(Self.agents) else { return }
        do { try await delete { $0 == agent } } catch {
            logger.warning(
                "the alias of an evicted agent is deleted later",
                metadata: ["agent.id": "\(agent)", "error": "\(error)"])
        }
    }

    /// Deletes the aliases of agents that are no more and cannot come.
    ///
    /// - Throws: ``StoreError``.
    func dropAbandoned(now: Date) async throws(StoreError) {
        // An alias is there shortly before its token is.
        let newest = now - 60
        let owners = Set(
            entries.read { index in
                index.entries.compactMap { $0.createdAt < newest ? Self.owner(of: $0) : nil }
            })
        guard !owners.isEmpty else { return }
        let abandoned = try await store.abandoned(owners)
        guard !abandoned.isEmpty else { return }
        try await delete { abandoned.contains($0) }
    }

    private func delete(_ isGone: (SPIFFEID) -> Bool) async throws(StoreError) {
        let ids = entries.read { index in
            index.entries.filter { Self.owner(of: $0).map(isGone) ?? false }.map(\.id)
        }
        guard !ids.isEmpty else { return }
        // Whoever may evict an agent need not have the right to its entries.
        let results = try await unscoped { () async throws(StoreError) in try await entries.delete(ids) }
        for case .success(let id) in results { logger.info("alias deleted", metadata: ["entry.id": "\(id)"]) }
    }

    private func unscoped<Value>(
        _ body: () async throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        let result: Result<Value, StoreError> = await RegistrationScope.$binding.withValue(nil) {
            do throws(StoreError) { return .success(try await body()) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// The agent whose alias an entry is; nil for any other entry.
    private static func owner(of entry: Entry) -> SPIFFEID? {
        let contents = entry.contents
        guard contents.parentID.path.hasPrefix(agents), contents.selectors.count == 1,
            let selector = contents.selectors.first, selector.kind == "spiffe_id",
            selector.value == "\(contents.parentID)"
        else { return nil }
        return contents.parentID
    }
}
