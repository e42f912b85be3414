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
        aliasEnds(of: agent, now: now).keys.sorted()
    }

    /// Until when an agent has each of its aliases; `distantFuture` for one without an end.
    private func aliasEnds(of agent: AttestedAgent, now: Date) -> [SPIFFEID: Date] {
        guard !agent.selectors.isEmpty,
            let server = try? SPIFFEID(trustDomain: agent.id.trustDomain, path: "/spire/server")
        else { return [:] }
        let selectors = Set(agent.selectors)
        var aliases: [SPIFFEID: Date] = [:]
        for id in idsByParent[server] ?? [] {
            guard let contents = byID[id]?.contents, contents.isInForce(at: now),
                !contents.selectors.isEmpty, selectors.isSuperset(of: contents.selectors)
            else { continue }
            aliases[contents.spiffeID] = max(
                aliases[contents.spiffeID] ?? .distantPast, contents.expiresAt ?? .distantFuture)
        }
        return aliases
    }

    /// What an agent may serve: the entries under it and its aliases and, transitively, under the identities of those.
    ///
    /// - Returns: Oldest first.
    package func authorized(for agent: AttestedAgent, now: Date) -> [Entry] {
        authorized(under: [agent.id] + aliases(of: agent, now: now), now: now)
    }

    /// Whether an agent may serve one entry; see ``authorized(for:now:)``.
    package func isAuthorized(_ agent: AttestedAgent, for entry: Entry, now: Date) -> Bool {
        permission(of: agent, for: entry, now: now) != nil
    }

    /// Until when an agent may serve one entry, as far as entries above that one say; see ``authorized(for:now:)``.
    ///
    /// - Returns: `distantFuture` when none of them says; nil when the agent may not.
    package func permission(of agent: AttestedAgent, for entry: Entry, now: Date) -> Date? {
        // Most entries name the agent itself, so aliases are looked for last.
        let own = permission(under: [agent.id: .distantFuture], for: entry, now: now)
        guard own != .distantFuture else { return own }
        let identities = aliasEnds(of: agent, now: now).merging([agent.id: .distantFuture]) { $1 }
        return permission(under: identities, for: entry, now: now)
    }
}
