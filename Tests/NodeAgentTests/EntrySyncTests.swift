import AgentDomain
import Bootstrap
import GRPCCore
import GRPCInProcessTransport
import IssuerAPIProtos
import Logging
import NodeAgent
import SPIFFE
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

@Suite("The sync of entries")
struct EntrySyncTests {
    @Test("takes the terms that the issuer says, and none but those")
    func saidTerms() async throws {
        let issuer = FakeIssuer(speaksTerms: true)
        issuer.set([.entry("a", "path:/x", level: 1), .entry("b", "uid:1", level: 3, jit: true)])
        let entries = try await sync(with: issuer)
        #expect(entries["a"]?.terms == AssuranceTerms(minimum: .executableLink, allowsJIT: false))
        #expect(entries["b"]?.terms == AssuranceTerms(minimum: .measuredExec, allowsJIT: true))
        #expect(issuer.calls == ["terms"])
    }

    @Test("leaves out an entry whose terms are missing or mean nothing to it, and goes on with the others")
    func unknownTerms() async throws {
        let issuer = FakeIssuer(speaksTerms: true)
        var untold = Mintmark_V1_Entry.entry("untold", "uid:1", level: 0)
        untold.clearTerms()
        issuer.set([
            untold, .entry("later", "uid:1", level: 4), .entry("huge", "uid:1", level: .max),
            .entry("a", "uid:1", level: 0),
        ])
        let logs = LogCollector()
        let entries = try await sync(with: issuer, logs: logs)
        #expect(Set(entries.keys) == ["a"])
        #expect(logs.messages(from: .warning).count == 2)
    }

    @Test("applies the default rules where an issuer of another make has no words for terms")
    func unsaidTerms() async throws {
        let issuer = FakeIssuer(speaksTerms: false)
        issuer.set([.entry("path", "path:/x", level: 0), .entry("uid", "uid:1", level: 0)])
        let entries = try await sync(with: issuer)
        #expect(entries["path"]?.terms == AssuranceTerms(minimum: .boundImage, allowsJIT: false))
        #expect(entries["uid"]?.terms == AssuranceTerms(minimum: .account, allowsJIT: false))
        #expect(issuer.calls == ["public"])
    }

    @Test("serves nothing new when the terms cannot be had, rather than ask without them")
    func noFallBackOnFailure() async throws {
        for code in [RPCError.Code.unavailable, .permissionDenied, .internalError, .failedPrecondition] {
            let issuer = FakeIssuer(speaksTerms: true)
            issuer.set([.entry("a", "uid:1", level: 0)])
            issuer.fail(with: code)
            await #expect(throws: IssuerClientError.self) { _ = try await sync(with: issuer) }
            #expect(issuer.calls == ["terms"])
        }
    }

    @Test("of many entries fetches those whose revision or terms are not the ones held", arguments: [true, false])
    func changes(speaksTerms: Bool) async throws {
        let issuer = FakeIssuer(speaksTerms: speaksTerms, isSparse: true)
        issuer.set((0..<3).map { .entry("\($0)", "uid:\($0)", level: 0) })
        let first = try await sync(with: issuer)
        #expect(first.count == 3)
        #expect(issuer.asked == ["0", "1", "2"])
        let second = try await sync(with: issuer, held: first)
        #expect(second == first)
        #expect(issuer.asked == ["0", "1", "2"], "nothing more")
        issuer.set([
            .entry("0", "uid:0", level: speaksTerms ? 2 : 0), .entry("1", "uid:1", level: 0, revision: 1),
            .entry("2", "uid:2", level: 0),
        ])
        let third = try await sync(with: issuer, held: second)
        #expect(third["0"]?.minimumAssurance == (speaksTerms ? .boundImage : .account))
        #expect(third["1"]?.revision == 1)
        #expect(issuer.asked == ["0", "1", "2"] + (speaksTerms ? ["0", "1"] : ["1"]))
    }

    @Test("does not take terms that followed from a rule for those that an issuer says")
    func upgradedIssuer() async throws {
        let old = FakeIssuer(speaksTerms: false, isSparse: true)
        old.set([.entry("a", "path:/x", level: 0)])
        let held = try await sync(with: old)
        let new = FakeIssuer(speaksTerms: true, isSparse: true)
        new.set([.entry("a", "path:/x", level: 3)])
        #expect(try await sync(with: new, held: held)["a"]?.minimumAssurance == .measuredExec)
    }

    private func sync(
        with issuer: FakeIssuer, held: [String: AuthorizedEntry] = [:], logs: LogCollector = LogCollector()
    ) async throws -> [String: AuthorizedEntry] {
        let transport = InProcessTransport()
        let server = GRPCServer(transport: transport.server, services: issuer.services)
        let rotating = RotatingClient(transport.client)
        let client = GRPCIssuerClient(rotating, trustDomain: try TrustDomain("example.org"), logger: logs.logger())
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            group.addTask { try await rotating.run() }
            defer { group.cancelAll() }
            return try await client.authorizedEntries(held: held)
        }
    }
}

/// An issuer that hands out what it is told to.
private final class FakeIssuer: Sendable {
    private struct State {
        var entries: [Mintmark_V1_Entry] = []
        var failure: RPCError.Code?
        var calls: [String] = []
        var asked: [String] = []
    }

    private let state = Mutex(State())
    private let speaksTerms: Bool
    /// Whether it tells revisions first, as for long lists.
    let isSparse: Bool

    init(speaksTerms: Bool, isSparse: Bool = false) { (self.speaksTerms, self.isSparse) = (speaksTerms, isSparse) }

    /// The public API is always there: an agent must not be led to it.
    var services: [any RegistrableRPCService] {
        speaksTerms ? [TermsService(issuer: self), PublicService(issuer: self)] : [PublicService(issuer: self)]
    }

    var calls: [String] { state.withLock { $0.calls } }
    var asked: [String] { state.withLock { $0.asked } }

    func set(_ entries: [Mintmark_V1_Entry]) { state.withLock { $0.entries = entries } }
    func fail(with code: RPCError.Code) { state.withLock { $0.failure = code } }

    fileprivate func called(_ name: String) throws -> [Mintmark_V1_Entry] {
        let (entries, failure) = state.withLock { state in
            state.calls.append(name)
            return (state.entries, state.failure)
        }
        if let failure { throw RPCError(code: failure, message: "told to") }
        return entries
    }

    fileprivate func wanted(_ ids: [String], of entries: [Mintmark_V1_Entry]) -> [Mintmark_V1_Entry] {
        state.withLock { $0.asked += ids }
        return entries.filter { ids.contains($0.entry.id) }
    }
}

private struct TermsService: Mintmark_V1_AuthorizedEntries.SimpleServiceProtocol {
    let issuer: FakeIssuer

    func sync(
        request: RPCAsyncSequence<Mintmark_V1_SyncRequest, any Error>, response: RPCWriter<Mintmark_V1_SyncResponse>,
        context: ServerContext
    ) async throws {
        let entries = try issuer.called("terms")
        guard issuer.isSparse else { return try await response.write(.with { $0.entries = entries }) }
        var requests = request.makeAsyncIterator()
        _ = try await requests.next()
        try await response.write(
            .with {
                $0.revisions = entries.map { entry in
                    .with {
                        $0.id = entry.entry.id
                        $0.revisionNumber = entry.entry.revisionNumber
                        $0.createdAt = entry.entry.createdAt
                        $0.terms = entry.terms
                    }
                }
            })
        while let next = try await requests.next() {
            try await response.write(.with { $0.entries = issuer.wanted(next.ids, of: entries) })
        }
    }
}

private struct PublicService: Spire_Api_Server_Entry_V1_Entry.SimpleServiceProtocol {
    let issuer: FakeIssuer

    func syncAuthorizedEntries(
        request: RPCAsyncSequence<Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesRequest, any Error>,
        response: RPCWriter<Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesResponse>, context: ServerContext
    ) async throws {
        let entries = try issuer.called("public")
        guard issuer.isSparse else {
            return try await response.write(.with { $0.entries = entries.map(\.entry) })
        }
        var requests = request.makeAsyncIterator()
        _ = try await requests.next()
        try await response.write(
            .with {
                $0.entryRevisions = entries.map { entry in
                    .with {
                        $0.id = entry.entry.id
                        $0.revisionNumber = entry.entry.revisionNumber
                        $0.createdAt = entry.entry.createdAt
                    }
                }
            })
        while let next = try await requests.next() {
            try await response.write(.with { $0.entries = issuer.wanted(next.ids, of: entries).map(\.entry) })
        }
    }

    func countEntries(
        request: Spire_Api_Server_Entry_V1_CountEntriesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_CountEntriesResponse { throw Self.notForAgents }

    func listEntries(
        request: Spire_Api_Server_Entry_V1_ListEntriesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_ListEntriesResponse { throw Self.notForAgents }

    func getEntry(
        request: Spire_Api_Server_Entry_V1_GetEntryRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Entry { throw Self.notForAgents }

    func batchCreateEntry(
        request: Spire_Api_Server_Entry_V1_BatchCreateEntryRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_BatchCreateEntryResponse { throw Self.notForAgents }

    func batchUpdateEntry(
        request: Spire_Api_Server_Entry_V1_BatchUpdateEntryRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_BatchUpdateEntryResponse { throw Self.notForAgents }

    func batchDeleteEntry(
        request: Spire_Api_Server_Entry_V1_BatchDeleteEntryRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_BatchDeleteEntryResponse { throw Self.notForAgents }

    func getAuthorizedEntries(
        request: Spire_Api_Server_Entry_V1_GetAuthorizedEntriesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Entry_V1_GetAuthorizedEntriesResponse { throw Self.notForAgents }

    private static var notForAgents: RPCError { RPCError(code: .unimplemented, message: "not for agents") }
}

extension Mintmark_V1_Entry {
    fileprivate static func entry(
        _ id: String, _ selector: String, level: UInt32, jit: Bool = false, revision: Int64 = 0
    ) -> Mintmark_V1_Entry {
        .with {
            $0.entry.id = id
            $0.entry.spiffeID = .with {
                $0.trustDomain = "example.org"
                $0.path = "/\(id)"
            }
            $0.entry.selectors = [
                .with {
                    $0.type = "unix"
                    $0.value = selector
                }
            ]
            $0.entry.createdAt = 1_800_000_000
            $0.entry.revisionNumber = revision
            $0.terms.minAssurance = level
            $0.terms.allowJit = jit
        }
    }
}
