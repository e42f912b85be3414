internal import Foundation
internal import SPIFFE

/// Which agents serve what stands under a parent: a node's own ID, the names it has by its selectors, and identities of
/// entries it serves.
package struct EntryServers: Sendable {
    private let known: [SPIFFEID: AttestedAgent]
    private let agentsByParent: [SPIFFEID: Set<SPIFFEID>]

    /// Looks at who serves what.
    ///
    /// - Parameters:
    ///   - index: The entries; also those that do not hold now.
    ///   - agents: Those that were let in.
    package init(_ index: EntryIndex, agents: [AttestedAgent]) {
        known = Dictionary(agents.map { ($0.id, $0) }, uniquingKeysWith: { one, _ in one })
        var served: [SPIFFEID: Set<SPIFFEID>] = [:]
        for agent in agents where !agent.isBanned { served[agent.id] = [agent.id] }
        let aliases = index.entries.filter { Self.isAlias($0.contents) }
        for alias in aliases {
            for agent in agents where !agent.isBanned && Self.has(agent, alias.contents.selectors) {
                served[alias.contents.spiffeID, default: []].insert(agent.id)
            }
        }
        // What stands under an identity is served by whoever serves that; until nothing new comes of it.
        let holders = Dictionary(grouping: index.entries.filter { !Self.isAlias($0.contents) }, by: \.contents.parentID)
        var open = Array(served.keys)
        while let parent = open.popLast() {
            guard let agents = served[parent] else { continue }
            for entry in holders[parent] ?? [] {
                let id = entry.contents.spiffeID
                guard holders[id] != nil, !agents.isSubset(of: served[id] ?? []) else { continue }
                served[id, default: []].formUnion(agents)
                open.append(id)
            }
        }
        agentsByParent = served
    }

    /// Whether one agent serves what stands under both parents.
    func haveAgentInCommon(_ one: SPIFFEID, _ other: SPIFFEID) -> Bool {
        guard let agents = agentsByParent[one], let others = agentsByParent[other] else { return false }
        return !agents.isDisjoint(with: others)
    }

    /// Why no agent serves an entry as things are; nil when nothing is known against it.
    func complaint(about contents: EntryContents) -> String? {
        let parent = contents.parentID
        if Self.isAlias(contents) {
            return agentsByParent[contents.spiffeID] == nil
                ? "no node that was let in has all of its selectors, so no agent has the ID '\(contents.spiffeID)'"
                : nil
        }
        guard parent.path.hasPrefix("/spire/agent/") else { return nil }
        guard let agent = known[parent] else { return "no agent '\(parent)' was let in, or it was evicted" }
        return agent.isBanned ? "its agent '\(parent)' is banned" : nil
    }

    private static func isAlias(_ contents: EntryContents) -> Bool { contents.parentID.path == "/spire/server" }

    private static func has(_ agent: AttestedAgent, _ selectors: [Selector]) -> Bool {
        !selectors.isEmpty && Set(agent.selectors).isSuperset(of: selectors)
    }
}
