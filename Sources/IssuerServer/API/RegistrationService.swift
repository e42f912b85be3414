internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SwiftProtobuf

/// `mintmark.v1.Registration`: entries for admins, with the terms that the public API has no words for.
struct RegistrationService: Mintmark_V1_Registration.SimpleServiceProtocol {
    let access: AccessControl
    let entries: EntryRegistrar
    let clock: any WallClock
    let logger: Logger

    func createEntries(
        request: Mintmark_V1_CreateEntriesRequest, context: ServerContext
    ) async throws -> Mintmark_V1_EntriesResponse {
        try access.requireLocal(context)
        let drafts = request.items.map { item in Result { () throws(RPCError) in try EntryDraft(wire: item) } }
        let outcomes = try await entries.create(
            drafts.compactMap { try? $0.get() }, now: clock.now, using: SystemEntropy())
        return answer("entry created", drafts, outcomes)
    }

    func updateEntries(
        request: Mintmark_V1_UpdateEntriesRequest, context: ServerContext
    ) async throws -> Mintmark_V1_EntriesResponse {
        try access.requireLocal(context)
        let patches = request.items.map { item in Result { () throws(RPCError) in try EntryPatch(wire: item) } }
        let outcomes = try await entries.update(patches.compactMap { try? $0.get() }, now: clock.now)
        return answer("entry updated", patches, outcomes)
    }

    func getEntry(
        request: Spire_Api_Server_Entry_V1_GetEntryRequest, context: ServerContext
    ) async throws -> Mintmark_V1_Entry {
        try access.requireLocal(context)
        guard !request.id.isEmpty else { throw EntryError.invalidEntryID }
        guard let entry = entries.read({ $0[request.id] }) else { throw EntryError.notFound(id: request.id) }
        return Mintmark_V1_Entry(entry, mask: request.hasOutputMask ? request.outputMask : .all)
    }

    func listEntries(
        request: Spire_Api_Server_Entry_V1_ListEntriesRequest, context: ServerContext
    ) async throws -> Mintmark_V1_ListEntriesResponse {
        try access.requireLocal(context)
        let (page, next) = try EntryPages.listing(request, of: entries)
        let mask = request.hasOutputMask ? request.outputMask : .all
        return .with {
            $0.entries = page.map { Mintmark_V1_Entry($0, mask: mask) }
            $0.nextPageToken = next
        }
    }

    /// One result for each item that was sent: those that could not be read never reached the registrar.
    private func answer<Item>(
        _ event: Logger.Message, _ items: [Result<Item, RPCError>], _ outcomes: [Result<Entry, EntryError>]
    ) -> Mintmark_V1_EntriesResponse {
        var outcomes = outcomes.makeIterator()
        return .with {
            $0.results = items.map { item in
                switch item {
                case .failure(let error): .with { $0.status = .init(error) }
                case .success:
                    switch outcomes.next() {
                    case .success(let entry)?: stored(event, entry)
                    case .failure(let error)?: refused(error)
                    case nil: .with { $0.status = .init(RPCError(code: .internalError, message: "")) }
                    }
                }
            }
        }
    }

    private func stored(_ event: Logger.Message, _ entry: Entry) -> Mintmark_V1_EntriesResponse.Result {
        let warnings = EntryAudit.record(event, entry, of: entries, now: clock.now, logger)
        return .with {
            $0.status = .ok
            $0.entry = Mintmark_V1_Entry(entry)
            $0.warnings = warnings.map { "\($0)" }
        }
    }

    private func refused(_ error: EntryError) -> Mintmark_V1_EntriesResponse.Result {
        .with {
            $0.status = .init(RPCError(error))
            $0.canForce = error.canBeForced
            if case .exists(let existing) = error { $0.entry = Mintmark_V1_Entry(existing) }
        }
    }
}
