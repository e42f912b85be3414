import Foundation
import GRPCCore
import IssuerAPIProtos
import IssuerDomain
import IssuerServer
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing

@Suite("Registration with terms")
struct RegistrationServiceTests {
    typealias Item = Mintmark_V1_CreateEntriesRequest.Item

    @Test("An entry comes back with its terms, wherever it is asked for")
    func terms() async throws {
        try await TestServer.run { server in
            let created = try await server.register([
                .example("/uid"), .example("/path", ["path:/x"]), .example("/jit", ["path:/x"]) { $0.allowJit = true },
                .example("/low", ["path:/y"]) { $0.minAssurance = 1 },
                .example("/zero", ["path:/x"], kind: "k8s") { $0.minAssurance = 0 },
            ])
            let expected = [(0, false), (2, false), (3, true), (1, false), (0, false)]
            try #require(created.allSatisfy { $0.status.code == 0 }, "\(created.map(\.status.message))")
            for (result, (level, jit)) in zip(created, expected) {
                let terms = Mintmark_V1_Terms.with {
                    $0.minAssurance = UInt32(level)
                    $0.allowJit = jit
                }
                #expect(result.entry.terms == terms)
                let shown = try await server.admin.registration.getEntry(.with { $0.id = result.entry.entry.id })
                #expect(shown == result.entry)
            }
            let listed = try await server.admin.registration.listEntries(.init()).entries
            #expect(Set(listed.map(\.entry.id)) == Set(created.map(\.entry.entry.id)))
            #expect(listed.allSatisfy { entry in created.contains { $0.entry == entry } })
            #expect(created.map { $0.warnings.count } == [0, 0, 0, 1, 0])
        }
    }

    @Test("A public API that knows no terms stores the default ones")
    func publicAPI() async throws {
        try await TestServer.run { server in
            try await server.create([.example("/uid"), .example("/path", selectors: ["path:/usr/bin/python3"])])
            let listed = try await server.admin.registration.listEntries(.init()).entries
            let levels = Dictionary(
                uniqueKeysWithValues: listed.map { ($0.entry.spiffeID.path, $0.terms.minAssurance) })
            #expect(levels == ["/uid": 0, "/path": 2])
            #expect(server.logs.records.contains { $0.message == "entry is weak" })
        }
    }

    @Test("The server's default level is for entries that name a program")
    func serverDefault() async throws {
        try await TestServer.run(assurance: AssuranceDefaults(program: .executableLink)) { server in
            let created = try await server.register([.example("/uid"), .example("/path", ["path:/x"])])
            #expect(created.map(\.entry.terms.minAssurance) == [0, 1])
            #expect(server.logs.records.contains { $0.message == "default_min_assurance is below 2" })
        }
    }

    @Test("Each item of a batch has a status of its own, and says whether force would help")
    func statuses() async throws {
        try await TestServer.run { server in
            let batch: [(item: Item, code: RPCError.Code?, canForce: Bool)] = [
                (.example("/a", ["uid:1"]), nil, false), (.example("/a", ["uid:1"]), .alreadyExists, false),
                (.example("/b") { $0.minAssurance = 4 }, .invalidArgument, false),
                (.example("/b", ["uuid:1"]), .invalidArgument, false),
                (.example("/b", ["role:x"], kind: "vault"), .invalidArgument, true),
                (.example("/b", ["role:x"], kind: "vault") { $0.force = true }, nil, false),
                (.example("/c", ["path:/usr/bin/node"]), .invalidArgument, true),
                (.example("/c", ["path:/usr/bin/node"]) { $0.force = true }, nil, false),
                (.example("/d", ["path:/x"], kind: "exec") { $0.minAssurance = 2 }, .invalidArgument, false),
                (.example("/d", ["profile:x"], kind: "launch") { $0.force = true }, .invalidArgument, false),
                (Item(), .invalidArgument, false),
            ]
            let results = try await server.register(batch.map(\.item))
            try #require(results.count == batch.count)
            for (result, expected) in zip(results, batch) {
                #expect(result.status.code == Int32(expected.code?.rawValue ?? 0), "\(result.status.message)")
                #expect(result.canForce == expected.canForce, "\(result.status.message)")
                #expect(!result.status.message.isEmpty)
            }
            #expect(results[1].entry == results[0].entry)
            #expect(results[5].warnings.count == 1)
            #expect(results[7].warnings.count == 1)
        }
    }

    @Test("Who registers a lifetime that is not to be had is told so, with the rule, as is who changes or looks at it")
    func lifetimes() async throws {
        try await TestServer.run { server in
            let created = try await server.register([
                .example("/long") { $0.entry.x509SvidTtl = 86_401 }, .example("/short") { $0.entry.x509SvidTtl = 60 },
            ])
            #expect(created.map(\.warnings.count) == [1, 0])
            #expect(
                created[0].warnings.first?.contains("X.509-SVID TTL of 86401 s cannot be had: at most 10800 s") == true)
            var item = Mintmark_V1_UpdateEntriesRequest.Item()
            item.entry.id = created[1].entry.entry.id
            item.entry.jwtSvidTtl = 10_000
            item.mask.jwtSvidTtl = true
            let update = Mintmark_V1_UpdateEntriesRequest.with { [item] in $0.items = [item] }
            let changed = try #require(try await server.admin.registration.updateEntries(update).results.first)
            #expect(
                changed.warnings.count == 1 && changed.warnings[0].contains("not always had"), "\(changed.warnings)")
            let findings = try await server.admin.declarations.lint(.init()).findings.filter { $0.kind == "shortened" }
            #expect(findings.count == 2)
            #expect(
                server.logs.records.contains { $0.message == "entry asks for a lifetime that is not to be had" },
                "over the public API it is the log that says so")
        }
    }

    @Test("An update changes terms alone, fields alone, or both; nothing else moves")
    func updates() async throws {
        try await TestServer.run { server in
            let created = try await server.register([.example("/a", ["path:/x"])])
            let id = try #require(created.first).entry.entry.id
            func update(
                _ change: (inout Mintmark_V1_UpdateEntriesRequest.Item) -> Void
            ) async throws -> Mintmark_V1_EntriesResponse.Result {
                var item = Mintmark_V1_UpdateEntriesRequest.Item()
                item.entry.id = id
                change(&item)
                let request = Mintmark_V1_UpdateEntriesRequest.with { [item] in $0.items = [item] }
                return try #require(try await server.admin.registration.updateEntries(request).results.first)
            }
            let raised = try await update { $0.minAssurance = 3 }
            #expect(raised.entry.terms.minAssurance == 3)
            #expect(raised.entry.entry.revisionNumber == 1)
            #expect(raised.entry.entry.selectors == created.first?.entry.entry.selectors)
            let hinted = try await update {
                $0.entry.hint = "new"
                $0.mask.hint = true
            }
            #expect(hinted.entry.terms.minAssurance == 3)
            #expect(hinted.entry.entry.hint == "new")
            let lowered = try await update { $0.minAssurance = 1 }
            #expect(lowered.entry.terms.minAssurance == 1)
            #expect(lowered.warnings.count == 1)
            let jit = try await update { $0.allowJit = true }
            #expect(jit.entry.terms.minAssurance == 3 && jit.entry.terms.allowJit)
            let unnamed = try await server.admin.entries.batchUpdateEntry(
                .with {
                    $0.entries = [
                        .with {
                            $0.id = id
                            $0.hint = "newer"
                        }
                    ]
                    $0.inputMask = .with { $0.hint = true }
                })
            #expect(unnamed.results.first?.status.code == 0)
            let shown = try await server.admin.registration.getEntry(.with { $0.id = id })
            #expect(shown.terms == jit.entry.terms)
            #expect(shown.entry.revisionNumber == 5)
            let missing = try await update { $0.entry.id = "missing" }
            #expect(missing.status.code == Int32(RPCError.Code.notFound.rawValue))
        }
    }

    @Test("Nobody but an admin registers, and nobody but an agent syncs")
    func access() async throws {
        try await TestServer.run { server in
            _ = try await server.joinAndPresent()
            try await expectCode(.permissionDenied) { _ = try await server.node.registration.listEntries(.init()) }
            try await expectCode(.permissionDenied) { _ = try await server.node.registration.createEntries(.init()) }
            try await expectCode(.permissionDenied) { _ = try await server.node.registration.updateEntries(.init()) }
            try await expectCode(.permissionDenied) { _ = try await server.node.registration.getEntry(.init()) }
            try await expectCode(.permissionDenied) { _ = try await server.admin.syncTerms([.init()]) }
        }
    }
}

@Suite("What agents get by what they can judge")
struct LegacyAgentTests {
    @Test("An agent that syncs with terms gets every entry, each with its own")
    func withTerms() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            try await server.registerLevels(under: joined.agentID)
            let answers = try await server.node.syncTerms([.init()])
            #expect(answers.count == 1)
            let entries = answers.flatMap(\.entries)
            #expect(entries.count == 4)
            #expect(entries.allSatisfy { $0.hasTerms && $0.entry.spiffeID.path == "/\($0.terms.minAssurance)" })
        }
    }

    @Test("An agent that cannot judge levels gets what asks for no more than the executable link, and it is told")
    func withoutTerms() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            try await server.registerLevels(under: joined.agentID)
            for _ in 0..<2 {
                let synced = try await server.node.sync([.init()]).flatMap(\.entries)
                #expect(Set(synced.map(\.spiffeID.path)) == ["/0", "/1"])
            }
            let all = try await server.node.entries.getAuthorizedEntries(.init()).entries
            #expect(Set(all.map(\.spiffeID.path)) == ["/0", "/1"])
            let notices = server.logs.records.filter {
                $0.message == "entries withheld from an agent that cannot judge assurance levels"
            }
            #expect(notices.count == 1, "said once, not at each poll")
        }
    }

    @Test("Where such agents are refused they get nothing, and others go on")
    func refused() async throws {
        try await TestServer.run(legacyAgents: .refuse) { server in
            let joined = try await server.joinAndPresent()
            try await server.registerLevels(under: joined.agentID)
            try await expectCode(.failedPrecondition) { _ = try await server.node.sync([.init()]) }
            try await expectCode(.failedPrecondition) {
                _ = try await server.node.entries.getAuthorizedEntries(.init())
            }
            #expect(try await server.node.syncTerms([.init()]).flatMap(\.entries).count == 4)
        }
    }

    @Test("Many entries come as revisions with their terms, and then as they are asked for")
    func pages() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let items = (0..<501).map { number in
                Mintmark_V1_CreateEntriesRequest.Item.example(
                    "/w\(number)", number == 7 ? ["path:/x"] : ["uid:1000"], parent: joined.agentID)
            }
            let ids = try await server.register(items).map(\.entry.entry.id)
            let answers = try await server.node.syncTerms([.init(), .with { $0.ids = [ids[7], "gone"] }])
            try #require(answers.count == 2)
            #expect(answers[0].entries.isEmpty)
            #expect(Set(answers[0].revisions.map(\.id)) == Set(ids))
            #expect(answers[0].revisions.filter { $0.terms.minAssurance == 2 }.map(\.id) == [ids[7]])
            #expect(answers[1].entries.map(\.entry.id) == [ids[7]])
            #expect(answers[1].entries.map(\.terms.minAssurance) == [2])
            try await expectCode(.invalidArgument) { _ = try await server.node.syncTerms([.with { $0.ids = ["a"] }]) }
            #expect(try await server.node.syncTerms([]).isEmpty)
        }
    }
}

extension Mintmark_V1_CreateEntriesRequest.Item {
    /// An entry that breaks no rule, with one thing changed at a time.
    static func example(
        _ path: String, _ selectors: [String] = ["uid:1000"], kind: String = "unix",
        parent: Spire_Api_Types_SPIFFEID = .example("/spire/agent/one"), change: (inout Self) -> Void = { _ in }
    ) -> Self {
        var item = Self()
        item.entry = .example(path, parent: parent, selectors: selectors)
        for index in item.entry.selectors.indices { item.entry.selectors[index].type = kind }
        change(&item)
        return item
    }
}

extension TestServer {
    func register(
        _ items: [Mintmark_V1_CreateEntriesRequest.Item]
    ) async throws -> [Mintmark_V1_EntriesResponse.Result] {
        try await admin.registration.createEntries(.with { $0.items = items }).results
    }

    /// One entry for each level, named after it.
    func registerLevels(under agent: Spire_Api_Types_SPIFFEID) async throws {
        let results = try await register(
            (0...3).map { level in .example("/\(level)", parent: agent) { $0.minAssurance = UInt32(level) } })
        for result in results { try #require(result.status.code == 0, "\(result.status.message)") }
    }
}
