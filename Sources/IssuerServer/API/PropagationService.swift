internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark.v1.Propagation`.
struct PropagationService: Mintmark_V1_Propagation.SimpleServiceProtocol {
    private static let longestWait = Duration.seconds(60)

    let access: AccessControl
    let entries: EntryRegistrar
    let agents: AgentRegistrar
    let feed: RevisionFeed
    let clock: any WallClock

    func follow(
        request: RPCAsyncSequence<Mintmark_V1_FollowRequest, any Error>,
        response: RPCWriter<Mintmark_V1_FollowResponse>, context: ServerContext
    ) async throws {
        let agent = try await access.requireAgent(context)
        feed.beginFollowing(agent.id)
        defer { feed.endFollowing(agent.id) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for try await message in request { feed.applied(message.appliedRevision, by: agent.id) }
            }
            group.addTask {
                var announced: UInt64?
                for await _ in feed.ticks(startingWithOne: true) {
                    // Whoever was evicted or banned since hears no more.
                    _ = try await access.requireAgent(context)
                    let revision = feed.revision
                    guard announced != revision else { continue }
                    announced = revision
                    try await response.write(.with { $0.revision = revision })
                }
            }
            // The call is not cancelled with the client; only this tells.
            group.addTask { try await context.cancellation.cancelled }
            try await group.next()
            group.cancelAll()
        }
    }

    func awaitEntry(
        request: Mintmark_V1_AwaitEntryRequest, context: ServerContext
    ) async throws -> Mintmark_V1_AwaitEntryResponse {
        try access.requireLocal(context)
        let now = clock.now
        let known = agents.all.filter { !$0.isBanned }
        let (entry, target, concerned) = entries.read { index in
            let entry = index[request.entryID]
            let concerned =
                entry.map { entry in known.filter { index.isAuthorized($0, for: entry, now: now) }.map(\.id) } ?? []
            return (entry, index.revision, concerned)
        }
        guard entry != nil else { throw EntryError.notFound(id: request.entryID) }
        return await answer(upTo: request.timeoutMs, target, concerned)
    }

    func awaitCurrent(
        request: Mintmark_V1_AwaitCurrentRequest, context: ServerContext
    ) async throws -> Mintmark_V1_AwaitEntryResponse {
        try access.requireLocal(context)
        let target = entries.read { $0.revision }
        return await answer(upTo: request.timeoutMs, target, agents.all.filter { !$0.isBanned }.map(\.id))
    }

    /// Waits for agents to have applied a revision, and says how they stand.
    private func answer(
        upTo timeout: UInt32, _ target: UInt64, _ concerned: [SPIFFEID]
    ) async -> Mintmark_V1_AwaitEntryResponse {
        let limit = min(Duration.milliseconds(timeout), Self.longestWait)
        await wait(upTo: limit) { isApplied(target, by: feed.standing(of: concerned)) }
        let standings = feed.standing(of: concerned)
        return .with {
            $0.agents = standings.map { standing in
                .with {
                    $0.spiffeID = "\(standing.id)"
                    $0.applied = standing.applied.map { $0 >= target } ?? false
                    $0.following = standing.isFollowing
                }
            }
            $0.complete = isApplied(target, by: standings)
        }
    }

    /// An agent that is not connected catches up when it comes back; waiting for it would help nobody.
    private func isApplied(_ target: UInt64, by standings: [AgentStanding]) -> Bool {
        standings.allSatisfy { !$0.isFollowing || ($0.applied ?? 0) >= target }
    }

    private func wait(upTo limit: Duration, until isDone: @escaping @Sendable () -> Bool) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in feed.ticks(startingWithOne: true) where isDone() { return }
            }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }
}
