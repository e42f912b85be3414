internal import AgentDomain
internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// The sparse sync of entries: revisions first, then only what this agent does not have.
enum EntrySync {
    /// Entries that stay as they are, and entries as the issuer sent them.
    struct Outcome: Sendable {
        var kept: [String: AuthorizedEntry] = [:]
        var fetched: [Spire_Api_Types_Entry] = []
    }

    /// Runs one sync.
    static func run(
        with client: Spire_Api_Server_Entry_V1_Entry.Client<some ClientTransport>, held: [String: AuthorizedEntry],
        options: CallOptions
    ) async throws -> Outcome {
        let (wanted, ask) = AsyncStream.makeStream(of: [String].self)
        return try await client.syncAuthorizedEntries(options: options) { writer in
            try await writer.write(.init())
            for await ids in wanted where !ids.isEmpty { try await writer.write(.with { $0.ids = ids }) }
        } onResponse: { response in
            defer { ask.finish() }
            return try await collect(response.messages, held: held) { ids in
                ask.yield(ids)
                ask.finish()
            }
        }
    }

    private static func collect(
        _ messages: RPCAsyncSequence<Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesResponse, any Error>,
        held: [String: AuthorizedEntry], ask: ([String]) -> Void
    ) async throws -> Outcome {
        var outcome = Outcome()
        var missing: [String] = []
        var isListing = true
        for try await message in messages {
            outcome.fetched += message.entries
            guard isListing else {
                if !message.more { return outcome }
                continue
            }
            for revision in message.entryRevisions {
                if let entry = held[revision.id], entry.revision == revision.revisionNumber,
                    entry.createdAt.unixSeconds == revision.createdAt
                {
                    outcome.kept[revision.id] = entry
                } else {
                    missing.append(revision.id)
                }
            }
            guard !message.more else { continue }
            isListing = false
            // A short list comes whole in one message; a long one as revisions, from which this agent chooses.
            if missing.isEmpty { return outcome }
            ask(missing)
        }
        return outcome
    }
}

extension AuthorizedEntry {
    init(wire: Spire_Api_Types_Entry) throws {
        var selectors: Set<Selector> = []
        for selector in wire.selectors { selectors.insert(try Selector(kind: selector.type, value: selector.value)) }
        self.init(
            id: wire.id,
            spiffeID: try SPIFFEID(trustDomain: TrustDomain(wire.spiffeID.trustDomain), path: wire.spiffeID.path),
            selectors: selectors, hint: wire.hint, federatesWith: try wire.federatesWith.map { try TrustDomain($0) },
            prefetchesX509: !wire.additionalAttributes.disableX509SvidPrefetch,
            includesJTI: wire.additionalAttributes.jwtSvidIncludeJti, storesSVID: wire.storeSvid,
            expiresAt: wire.expiresAt == 0 ? nil : Date(timeIntervalSince1970: TimeInterval(wire.expiresAt)),
            revision: wire.revisionNumber, createdAt: Date(timeIntervalSince1970: TimeInterval(wire.createdAt)))
    }
}

extension TrustBundle {
    /// Reads a bundle from the wire; one of another trust domain is refused.
    init(wire: Spire_Api_Types_Bundle, expected trustDomain: TrustDomain) throws {
        guard wire.trustDomain == trustDomain.name || wire.trustDomain == "\(trustDomain.id)" else {
            throw SPIFFEError(.invalidBundle, "bundle is of another trust domain")
        }
        var keys: [String: JWTVerificationKey] = [:]
        for key in wire.jwtAuthorities where !key.keyID.isEmpty {
            keys[key.keyID] = try JWTVerificationKey(derRepresentation: key.publicKey)
        }
        let certificates = try wire.x509Authorities.flatMap { try DERConcatenation.certificates(in: $0.asn1) }
        guard !certificates.isEmpty else { throw SPIFFEError(.invalidBundle, "bundle holds no X.509 authority") }
        self.init(
            trustDomain: trustDomain, x509Authorities: certificates, jwtAuthorities: keys,
            sequence: wire.sequenceNumber, refreshHint: wire.refreshHint > 0 ? UInt64(wire.refreshHint) : nil)
    }
}
