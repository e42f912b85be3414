internal import AgentDomain
internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// The sparse sync of entries: revisions first, then only what this agent does not have.
///
/// Entries come with their terms in the same message, or, from an issuer that has no words for terms, get those that
/// follow from their selectors. No entry is ever held without.
enum EntrySync {
    /// Entries that stay as they are, and entries as the issuer sent them.
    struct Outcome: Sendable {
        var kept: [String: AuthorizedEntry] = [:]
        var fetched: [FetchedEntry] = []
    }

    /// An entry from the wire, not judged yet.
    struct FetchedEntry: Sendable {
        let wire: Spire_Api_Types_Entry
        let terms: StatedTerms
        /// What the public API has no words for; nil from an issuer that has none either.
        var extra: Mintmark_V1_Entry?
    }

    /// What an issuer says of terms.
    enum StatedTerms: Sendable {
        case said(Mintmark_V1_Terms)
        /// It has no words for them.
        case unsaid

        /// The terms to judge by.
        ///
        /// - Returns: nil when what was said means nothing to this agent: such an entry may not be served.
        func terms(for selectors: Set<Selector>) -> AssuranceTerms? {
            switch self {
            case .unsaid: return AssuranceDefaults().terms(for: selectors)
            case .said(let wire):
                guard let number = Int(exactly: wire.minAssurance), let minimum = AssuranceLevel(rawValue: number)
                else { return nil }
                return AssuranceTerms(minimum: minimum, allowsJIT: wire.allowJit)
            }
        }
    }

    /// Syncs with an issuer that says terms; that this is asked for tells it that this agent judges by them.
    ///
    /// - Throws: `RPCError`; Unimplemented when the issuer is of another make.
    static func run(
        with client: Mintmark_V1_AuthorizedEntries.Client<some ClientTransport>, held: [String: AuthorizedEntry],
        options: CallOptions
    ) async throws -> Outcome {
        let (wanted, ask) = AsyncStream.makeStream(of: [String].self)
        return try await client.sync(options: options) { writer in
            try await writer.write(.with { $0.vocabulary = EntryConditions.vocabulary })
            for await ids in wanted where !ids.isEmpty { try await writer.write(.with { $0.ids = ids }) }
        } onResponse: { response in
            defer { ask.finish() }
            return try await collect(response.messages, held: held, read: Page.init) { ids in
                ask.yield(ids)
                ask.finish()
            }
        }
    }

    /// Syncs through the public API, which every issuer speaks.
    static func run(
        withoutTerms client: Spire_Api_Server_Entry_V1_Entry.Client<some ClientTransport>,
        held: [String: AuthorizedEntry], options: CallOptions
    ) async throws -> Outcome {
        let (wanted, ask) = AsyncStream.makeStream(of: [String].self)
        return try await client.syncAuthorizedEntries(options: options) { writer in
            try await writer.write(.init())
            for await ids in wanted where !ids.isEmpty { try await writer.write(.with { $0.ids = ids }) }
        } onResponse: { response in
            defer { ask.finish() }
            return try await collect(response.messages, held: held, read: Page.init) { ids in
                ask.yield(ids)
                ask.finish()
            }
        }
    }

    private static func collect<Message: Sendable>(
        _ messages: RPCAsyncSequence<Message, any Error>, held: [String: AuthorizedEntry],
        read: (Message) -> Page, ask: ([String]) -> Void
    ) async throws -> Outcome {
        var outcome = Outcome()
        var missing: [String] = []
        var isListing = true
        for try await message in messages {
            let page = read(message)
            outcome.fetched += page.entries
            guard isListing else {
                if !page.more { return outcome }
                continue
            }
            for revision in page.revisions {
                if let entry = held[revision.id], revision.isOf(entry) {
                    outcome.kept[revision.id] = entry
                } else {
                    missing.append(revision.id)
                }
            }
            guard !page.more else { continue }
            isListing = false
            // A short list comes whole in one message; a long one as revisions, from which this agent chooses.
            if missing.isEmpty { return outcome }
            ask(missing)
        }
        return outcome
    }
}

/// One message of a sync, whichever API it came through.
private struct Page {
    struct Revision {
        let id: String
        let number: Int64
        let createdAt: Int64
        let terms: EntrySync.StatedTerms

        /// Whether an entry that is held is still just so.
        func isOf(_ entry: AuthorizedEntry) -> Bool {
            entry.revision == number && entry.createdAt.unixSeconds == createdAt
                && terms.terms(for: entry.selectors) == entry.terms
        }
    }

    let revisions: [Revision]
    let entries: [EntrySync.FetchedEntry]
    let more: Bool

    init(_ message: Mintmark_V1_SyncResponse) {
        revisions = message.revisions.map {
            Revision(id: $0.id, number: $0.revisionNumber, createdAt: $0.createdAt, terms: .said($0.terms))
        }
        // Terms that are left out are not the least ones: nothing is known of the entry then.
        entries = message.entries.filter(\.hasTerms).map { .init(wire: $0.entry, terms: .said($0.terms), extra: $0) }
        more = message.more
    }

    init(_ message: Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesResponse) {
        revisions = message.entryRevisions.map {
            Revision(id: $0.id, number: $0.revisionNumber, createdAt: $0.createdAt, terms: .unsaid)
        }
        entries = message.entries.map { .init(wire: $0, terms: .unsaid) }
        more = message.more
    }
}

extension AuthorizedEntry {
    /// Reads an entry.
    ///
    /// - Returns: nil when its terms or conditions mean nothing to this agent, such as a level that a later version added.
    /// - Throws: When it is not well formed.
    init?(_ fetched: EntrySync.FetchedEntry) throws {
        let wire = fetched.wire
        var selectors: Set<Selector> = []
        for selector in wire.selectors { selectors.insert(try Selector(kind: selector.type, value: selector.value)) }
        guard let terms = fetched.terms.terms(for: selectors), let conditions = try EntryConditions(fetched.extra)
        else {
            return nil
        }
        self.init(
            id: wire.id,
            spiffeID: try SPIFFEID(trustDomain: TrustDomain(wire.spiffeID.trustDomain), path: wire.spiffeID.path),
            selectors: selectors, hint: wire.hint, federatesWith: try wire.federatesWith.map { try TrustDomain($0) },
            prefetchesX509: !wire.additionalAttributes.disableX509SvidPrefetch,
            includesJTI: wire.additionalAttributes.jwtSvidIncludeJti, storesSVID: wire.storeSvid,
            expiresAt: wire.expiresAt == 0 ? nil : Date(timeIntervalSince1970: TimeInterval(wire.expiresAt)),
            revision: wire.revisionNumber, createdAt: Date(timeIntervalSince1970: TimeInterval(wire.createdAt)),
            terms: terms, conditions: conditions)
    }
}

extension TaintedAuthorities {
    /// Reads which authorities of a bundle are tainted.
    init(wire: Spire_Api_Types_Bundle) throws {
        var identifiers: Set<String> = []
        for authority in wire.x509Authorities where authority.tainted {
            for certificate in try DERConcatenation.certificates(in: authority.asn1) {
                identifiers.insert(AuthorityKeyID.text(of: certificate))
            }
        }
        self.init(
            authorityKeyIDs: identifiers, keyIDs: Set(wire.jwtAuthorities.filter(\.tainted).map(\.keyID)))
    }
}
