internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Platform
internal import SwiftProtobuf

/// `mintmark.v1.AuthorizedEntries`: what an agent may serve, each entry in one message with its terms.
struct AuthorizedEntriesService: Mintmark_V1_AuthorizedEntries.SimpleServiceProtocol {
    let access: AccessControl
    let entries: EntryRegistrar
    let legacyAgents: LegacyAgents
    let clock: any WallClock

    func sync(
        request: RPCAsyncSequence<Mintmark_V1_SyncRequest, any Error>,
        response: RPCWriter<Mintmark_V1_SyncResponse>, context: ServerContext
    ) async throws {
        let agent = try await access.requireAgent(context)
        var requests = request.makeAsyncIterator()
        guard let opening = try await requests.next() else { return }
        guard opening.ids.isEmpty else {
            throw RPCError(code: .invalidArgument, message: "the first request may not ask for IDs")
        }
        let now = clock.now
        let (all, digestSets) = entries.read { ($0.authorized(for: agent, now: now), $0.digestSets) }
        let authorized = legacyAgents.understood(all, by: agent.id, vocabulary: opening.vocabulary)
        guard !EntryPages.fitsOneMessage(authorized) else {
            try await response.write(
                .with { $0.entries = authorized.map { Mintmark_V1_Entry($0, digestSets: digestSets) } })
            return
        }
        for (page, more) in EntryPages.revisions(of: authorized) {
            try await response.write(
                .with {
                    $0.revisions = page.map { entry in
                        .with {
                            $0.id = entry.id
                            $0.revisionNumber = entry.revision
                            $0.createdAt = entry.createdAt.unixSeconds
                            $0.terms = Mintmark_V1_Terms(entry.contents.terms)
                        }
                    }
                    $0.more = more
                })
        }
        let byID = Dictionary(authorized.map { ($0.id, $0) }, uniquingKeysWith: { one, _ in one })
        while let request = try await requests.next() {
            // Entries that went away meanwhile are simply not in the answer; the next sync says so.
            for (page, more) in EntryPages.entries(request.ids.compactMap { byID[$0] }) {
                try await response.write(
                    .with {
                        $0.entries = page.map { Mintmark_V1_Entry($0, digestSets: digestSets) }
                        $0.more = more
                    })
            }
        }
    }
}
