internal import GRPCCore
internal import IssuerDomain
internal import Logging
internal import SPIFFE
internal import Synchronization

/// What agents get that cannot judge by terms: those that sync through the public API, which cannot say any.
final class LegacyAgents: Sendable {
    /// The most that such an agent is held to do: to go by the account and the executable link.
    private static let reach = AssuranceLevel.executableLink

    private let policy: LegacyAgentPolicy
    private let logger: Logger
    /// How many entries were last kept from whom, to say so when it changes rather than at every poll.
    private let withheld = Mutex<[SPIFFEID: Int]>([:])

    init(_ policy: LegacyAgentPolicy, logger: Logger) { (self.policy, self.logger) = (policy, logger) }

    /// The entries that may be handed to such an agent.
    ///
    /// - Throws: `RPCError` FailedPrecondition where such agents are refused.
    func servable(_ entries: [Entry], to agent: SPIFFEID) throws(RPCError) -> [Entry] {
        guard policy == .serve else {
            throw RPCError(
                code: .failedPrecondition,
                message: "this server serves only agents that judge by assurance levels (legacy_agents: refuse)")
        }
        let servable = entries.filter {
            $0.contents.terms.minimum <= Self.reach && $0.contents.details.neededVocabulary == 0
        }
        let count = entries.count - servable.count
        let isNews = withheld.withLock { $0.updateValue(count, forKey: agent) ?? 0 } != count
        if isNews {
            logger.notice(
                "entries withheld from an agent that cannot judge assurance levels",
                metadata: [
                    "agent.id": "\(agent)", "count": "\(count)",
                    "hint": "give them --min-assurance 1 and no rules, or run a mintmark agent",
                ])
        }
        return servable
    }

    /// The entries that an agent of this make may be handed: an earlier version does not know what narrows the others.
    func understood(_ entries: [Entry], by agent: SPIFFEID, vocabulary: UInt32) -> [Entry] {
        let understood = entries.filter { $0.contents.details.neededVocabulary <= vocabulary }
        let count = entries.count - understood.count
        let isNews = withheld.withLock { $0.updateValue(count, forKey: agent) ?? 0 } != count
        if isNews {
            logger.notice(
                "entries withheld from an agent of an earlier version",
                metadata: ["agent.id": "\(agent)", "count": "\(count)", "hint": "upgrade the agent"])
        }
        return understood
    }
}
