package import Foundation
package import SPIFFE

extension EntryIndex {
    /// The IDs that an agent has by what its node was found to be, besides its own.
    ///
    /// An entry under `/spire/server` is such an alias: its selectors are of nodes, and an agent that has all of them has
    /// the entry's ID, for other entries to name as their parent.
    ///
    /// - Parameters:
    ///   - agent: The agent, with its node's selectors.
    ///   - now: Aliases that do not hold then are left out.
    /// - Returns: In order.
    package func aliases(of agent: AttestedAgent, now: Date) -> [SPIFFEID] {
        guard !agent.selectors.isEmpty,
            let server = try? SPIFFEID(trustDomain: agent.id.trustDomain, path: "/spire/server")
        else { return [] }
        let selectors = Set(agent.selectors)
        var aliases: Set<SPIFFEID> = []
        for id in idsByParent[server] ?? [] {
            guard let contents = byID[id]?.contents, contents.isInForce(at: now),
                !contents.selectors.isEmpty, selectors.isSuperset(of: contents.selectors)
            else { continue }
            aliases.insert(contents.spiffeID)
        }
        return aliases.sorted()
    }

    /// What an agent may serve: the entries under it and its aliases and, transitively, under the identities of those.
    ///
    /// - Returns: Oldest first.
    package func authorized(for agent: AttestedAgent, now: Date) -> [Entry] {
        authorized(under: [agent.id] + aliases(of: agent, now: now), now: now)
    }

    /// Whether an agent may serve one entry; see ``authorized(for:now:)``.
    package func isAuthorized(_ agent: AttestedAgent, for entry: Entry, now: Date) -> Bool {
        // Most entries name the agent itself, so aliases are looked for last.
        isAuthorized(agent.id, for: entry, now: now)
            || isAuthorized(under: [agent.id] + aliases(of: agent, now: now), for: entry, now: now)
    }
}
