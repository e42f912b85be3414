internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `spire.api.server.entry.v1.Entry`.
struct EntryService: Spire_Api_Server_Entry_V1_Entry.SimpleServiceProtocol {
    let access: AccessControl
    let entries: EntryRegistrar
    let legacyAgents: LegacyAgents
    let clock: any WallClock
    let logger: Logger

    func countEntries(
        request: Spire_Api_Server_Entry_V1_CountEntriesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_CountEntriesResponse {
        try access.requireLocal(context)
        let filter = try request.hasFilter ? EntryFilter(wire: request.filter.asListFilter) : EntryFilter()
        let index = entries.read { $0 }
        let count = index.entries.count { filter.admits($0.contents) }
        return .with { $0.count = Int32(clamping: count) }
    }

    func listEntries(
        request: Spire_Api_Server_Entry_V1_ListEntriesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_ListEntriesResponse {
        try access.requireLocal(context)
        let (page, next) = try EntryPages.listing(request, of: entries)
        let mask = request.hasOutputMask ? request.outputMask : .all
        return .with {
            $0.entries = page.map { Spire_Api_Types_Entry($0, mask: mask) }
            $0.nextPageToken = next
        }
    }

    func getEntry(
        request: Spire_Api_Server_Entry_V1_GetEntryRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Entry {
        try access.requireLocal(context)
        guard !request.id.isEmpty else { throw EntryError.invalidEntryID }
        guard let entry = entries.read({ $0[request.id] }) else { throw EntryError.notFound(id: request.id) }
        return Spire_Api_Types_Entry(entry, mask: request.hasOutputMask ? request.outputMask : .all)
    }

    func batchCreateEntry(
        request: Spire_Api_Server_Entry_V1_BatchCreateEntryRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_BatchCreateEntryResponse {
        try access.requireLocal(context)
        let mask = request.hasOutputMask ? request.outputMask : .all
        let drafts = request.entries.map { wire in Result { () throws(RPCError) in try EntryDraft(wire: wire) } }
        var outcomes = try await entries.create(
            drafts.compactMap { try? $0.get() }, now: clock.now, using: SystemEntropy()
        ).makeIterator()
        let results = drafts.map { draft -> Spire_Api_Server_Entry_V1_BatchCreateEntryResponse.Result in
            .with {
                switch draft {
                case .failure(let error): $0.status = .init(error)
                case .success:
                    switch outcomes.next() {
                    case .success(let entry)?:
                        $0.status = .ok
                        $0.entry = Spire_Api_Types_Entry(entry, mask: mask)
                        EntryAudit.record("entry created", entry, of: entries, now: clock.now, logger)
                    case .failure(let error)?:
                        $0.status = .init(RPCError(error))
                        if case .exists(let existing) = error { $0.entry = Spire_Api_Types_Entry(existing, mask: mask) }
                    case nil: $0.status = .init(RPCError(code: .internalError, message: ""))
                    }
                }
            }
        }
        return .with { $0.results = results }
    }

    func batchUpdateEntry(
        request: Spire_Api_Server_Entry_V1_BatchUpdateEntryRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_BatchUpdateEntryResponse {
        try access.requireLocal(context)
        let input = request.hasInputMask ? request.inputMask : .all
        let output = request.hasOutputMask ? request.outputMask : .all
        let patches = request.entries.map { wire in
            Result { () throws(RPCError) in try EntryPatch(wire: wire, mask: input) }
        }
        var outcomes = try await entries.update(patches.compactMap { try? $0.get() }, now: clock.now).makeIterator()
        let results = patches.map { patch -> Spire_Api_Server_Entry_V1_BatchUpdateEntryResponse.Result in
            .with {
                switch patch {
                case .failure(let error): $0.status = .init(error)
                case .success:
                    switch outcomes.next() {
                    case .success(let entry)?:
                        $0.status = .ok
                        $0.entry = Spire_Api_Types_Entry(entry, mask: output)
                        EntryAudit.record("entry updated", entry, of: entries, now: clock.now, logger)
                    case .failure(let error)?: $0.status = .init(RPCError(error))
                    case nil: $0.status = .init(RPCError(code: .internalError, message: ""))
                    }
                }
            }
        }
        return .with { $0.results = results }
    }

    func batchDeleteEntry(
        request: Spire_Api_Server_Entry_V1_BatchDeleteEntryRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_BatchDeleteEntryResponse {
        try access.requireLocal(context)
        let outcomes = try await entries.delete(request.ids)
        return .with {
            $0.results = zip(request.ids, outcomes).map { id, outcome in
                .with {
                    $0.id = id
                    switch outcome {
                    case .success:
                        $0.status = .ok
                        logger.info("entry deleted", metadata: ["entry.id": "\(id)"])
                    case .failure(let error): $0.status = .init(RPCError(id.isEmpty ? .invalidEntryID : error))
                    }
                }
            }
        }
    }

    func getAuthorizedEntries(
        request: Spire_Api_Server_Entry_V1_GetAuthorizedEntriesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_GetAuthorizedEntriesResponse {
        let agent = try await access.requireAgent(context)
        let now = clock.now
        let mask = request.hasOutputMask ? request.outputMask : .all
        let authorized = try legacyAgents.servable(
            entries.read { $0.authorized(for: agent, now: now) }, to: agent.id)
        return .with { $0.entries = authorized.map { Spire_Api_Types_Entry($0, mask: mask) } }
    }

    func syncAuthorizedEntries(
        request: RPCAsyncSequence<Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesRequest, any Error>,
        response: RPCWriter<Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesResponse>, context: ServerContext
    ) async throws {
        let agent = try await access.requireAgent(context)
        var requests = request.makeAsyncIterator()
        guard let opening = try await requests.next() else { return }
        guard opening.ids.isEmpty else {
            throw RPCError(code: .invalidArgument, message: "the first request may not ask for IDs")
        }
        // Agents go by revisions; one that could not see them would hold on to what has changed.
        guard !opening.hasOutputMask || opening.outputMask.revisionNumber else {
            throw RPCError(code: .invalidArgument, message: "the output mask must include revision_number")
        }
        let mask = opening.hasOutputMask ? opening.outputMask : .all
        let now = clock.now
        let authorized = try legacyAgents.servable(
            entries.read { $0.authorized(for: agent, now: now) }, to: agent.id)
        guard !EntryPages.fitsOneMessage(authorized) else {
            try await response.write(.with { $0.entries = authorized.map { Spire_Api_Types_Entry($0, mask: mask) } })
            return
        }
        for (page, more) in EntryPages.revisions(of: authorized) {
            try await response.write(
                .with {
                    $0.entryRevisions = page.map { entry in
                        .with {
                            $0.id = entry.id
                            $0.revisionNumber = entry.revision
                            $0.createdAt = entry.createdAt.unixSeconds
                        }
                    }
                    $0.more = more
                })
        }
        let byID = Dictionary(authorized.map { ($0.id, $0) }, uniquingKeysWith: { one, _ in one })
        while let request = try await requests.next() {
            // The mask of the first request holds for the whole stream, whatever later ones say. Entries that went away meanwhile are simply not in the answer; the next sync says so.
            let wanted = request.ids.compactMap { byID[$0] }
            for (page, more) in EntryPages.entries(wanted) {
                try await response.write(
                    .with {
                        $0.entries = page.map { Spire_Api_Types_Entry($0, mask: mask) }
                        $0.more = more
                    })
            }
        }
    }
}

extension Spire_Api_Server_Entry_V1_CountEntriesRequest.Filter {
    /// The same filter as a listing takes it; the two messages differ in name only.
    fileprivate var asListFilter: Spire_Api_Server_Entry_V1_ListEntriesRequest.Filter {
        .with {
            if hasBySpiffeID { $0.bySpiffeID = bySpiffeID }
            if hasByParentID { $0.byParentID = byParentID }
            if hasBySelectors { $0.bySelectors = bySelectors }
            if hasByFederatesWith { $0.byFederatesWith = byFederatesWith }
            if hasByHint { $0.byHint = byHint }
            if hasByDownstream { $0.byDownstream = byDownstream }
        }
    }
}

extension Spire_Api_Types_Status {
    /// Success.
    static let ok = Spire_Api_Types_Status.with { $0.message = "OK" }

    /// The status of one item of a batch.
    init(_ error: RPCError) {
        self = .with {
            $0.code = Int32(error.code.rawValue)
            $0.message = error.message
        }
    }
}
