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
    /// Entries a page of a listing holds at most.
    private static let maximumPage = 1000
    /// Below this many an agent gets everything at once; above it, revisions first.
    private static let syncPage = 500
    /// Bytes that a message holds at most, about; far below the four megabytes that gRPC clients take by default.
    private static let messageBytes = 1 << 20

    let access: AccessControl
    let entries: EntryRegistrar
    let agents: AgentRegistrar
    let clock: any WallClock
    let logger: Logger

    func countEntries(
        request: Spire_Api_Server_Entry_V1_CountEntriesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_CountEntriesResponse {
        try access.requireLocal(context)
        let filter = try request.hasFilter ? EntryFilter(wire: request.filter.asListFilter) : EntryFilter()
        let count = entries.read { index in index.entries.count { filter.admits($0.contents) } }
        return .with { $0.count = Int32(clamping: count) }
    }

    func listEntries(
        request: Spire_Api_Server_Entry_V1_ListEntriesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_ListEntriesResponse {
        try access.requireLocal(context)
        let filter = try request.hasFilter ? EntryFilter(wire: request.filter) : EntryFilter()
        let page = request.pageSize > 0 ? min(Int(request.pageSize), Self.maximumPage) : Self.maximumPage
        let after = request.pageToken
        let found = entries.read { index in
            index.entries.filter { $0.id > after && filter.admits($0.contents) }.sorted { $0.id < $1.id }
        }
        let mask = request.hasOutputMask ? request.outputMask : .all
        var (end, bytes) = (0, 0)
        while end < found.count, end < page, end == 0 || bytes < Self.messageBytes {
            bytes += found[end].approximateSize
            end += 1
        }
        return .with {
            $0.entries = found[..<end].map { Spire_Api_Types_Entry($0, mask: mask) }
            if found.count > end { $0.nextPageToken = found[end - 1].id }
        }
    }

    func getEntry(
        request: Spire_Api_Server_Entry_V1_GetEntryRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Entry {
        try access.requireLocal(context)
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
                        audit("entry created", entry)
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
            Result { () throws(RPCError) in try patch(wire, mask: input) }
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
                        audit("entry updated", entry)
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
                    case .failure(let error): $0.status = .init(RPCError(error))
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
        let authorized = entries.read { $0.authorized(for: agent.id, now: now) }
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
        let mask = opening.hasOutputMask ? opening.outputMask : .all
        let now = clock.now
        let authorized = entries.read { $0.authorized(for: agent.id, now: now) }
        let isShort =
            authorized.count <= Self.syncPage && authorized.reduce(0) { $0 + $1.approximateSize } <= Self.messageBytes
        guard !isShort else {
            try await response.write(.with { $0.entries = authorized.map { Spire_Api_Types_Entry($0, mask: mask) } })
            return
        }
        try await writePages(of: authorized, of: 10 * Self.syncPage, weight: { _ in 64 }, to: response) {
            page, message in
            message.entryRevisions = page.map { entry in
                .with {
                    $0.id = entry.id
                    $0.revisionNumber = entry.revision
                    $0.createdAt = entry.createdAt.unixSeconds
                }
            }
        }
        let byID = Dictionary(authorized.map { ($0.id, $0) }, uniquingKeysWith: { one, _ in one })
        while let request = try await requests.next() {
            guard !request.hasOutputMask else {
                throw RPCError(code: .invalidArgument, message: "only the first request may have an output mask")
            }
            // Entries that went away meanwhile are simply not in the answer; the next sync says so.
            let wanted = request.ids.compactMap { byID[$0] }
            try await writePages(of: wanted, of: Self.syncPage, weight: \.approximateSize, to: response) {
                page, message in
                message.entries = page.map { Spire_Api_Types_Entry($0, mask: mask) }
            }
        }
    }

    private func writePages(
        of entries: [Entry], of size: Int, weight: (Entry) -> Int,
        to response: RPCWriter<Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesResponse>,
        fill: (ArraySlice<Entry>, inout Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesResponse) -> Void
    ) async throws {
        var start = 0
        repeat {
            var (end, bytes) = (start, 0)
            while end < entries.count, end - start < size, end == start || bytes < Self.messageBytes {
                bytes += weight(entries[end])
                end += 1
            }
            var message = Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesResponse()
            fill(entries[start..<end], &message)
            message.more = end < entries.count
            try await response.write(message)
            start = end
        } while start < entries.count
    }

    /// Reads a patch: only what the mask names has to be there and well formed.
    private func patch(
        _ wire: Spire_Api_Types_Entry, mask: Spire_Api_Types_EntryMask
    ) throws(RPCError) -> EntryPatch {
        guard !wire.id.isEmpty else { throw RPCError(code: .invalidArgument, message: "entry ID is missing") }
        var whole = wire
        // Fields outside the mask are never used; these stand in so that the rest can be read.
        if !mask.spiffeID { whole.spiffeID = .with { $0.trustDomain = "unused" } }
        if !mask.parentID { whole.parentID = .with { $0.trustDomain = "unused" } }
        if !mask.selectors { whole.selectors = [] }
        if !mask.federatesWith { whole.federatesWith = [] }
        let contents = try EntryContents(wire: whole)
        return EntryPatch(id: wire.id) { $0.merge(contents, mask: mask) }
    }

    private func audit(_ event: Logger.Message, _ entry: Entry) {
        logger.info(
            event,
            metadata: [
                "entry.id": "\(entry.id)", "spiffe.id": "\(entry.contents.spiffeID)",
                "entry.parent_id": "\(entry.contents.parentID)", "entry.revision": "\(entry.revision)",
            ])
    }
}

extension Entry {
    /// Bytes on the wire, about.
    fileprivate var approximateSize: Int {
        let texts = contents.selectors.reduce(0) { $0 + $1.kind.utf8.count + $1.value.utf8.count + 8 }
        let names = contents.dnsNames.reduce(0) { $0 + $1.utf8.count + 4 }
        return texts + names + contents.hint.utf8.count + contents.spiffeID.path.utf8.count + 256
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
