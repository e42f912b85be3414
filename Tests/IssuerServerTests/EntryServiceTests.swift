import Foundation
import GRPCCore
import IssuerAPIProtos
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing

@Suite("The entry service")
struct EntryServiceTests {
    @Test("Every field of an entry comes back as it was sent")
    func everyField() async throws {
        try await TestServer.run { server in
            let sent = Spire_Api_Types_Entry.with {
                $0.id = "my-entry"
                $0.spiffeID = .example("/web")
                $0.parentID = .example("/spire/agent/one")
                $0.selectors = Spire_Api_Types_Entry.example("/x", selectors: ["gid:7", "uid:1000"]).selectors
                $0.x509SvidTtl = 1800
                $0.jwtSvidTtl = 60
                $0.federatesWith = ["other.example"]
                $0.admin = true
                $0.downstream = true
                $0.expiresAt = 1_800_100_000
                $0.dnsNames = ["web.example.org"]
                $0.hint = "internal"
                $0.storeSvid = true
                $0.additionalAttributes = .with {
                    $0.disableX509SvidPrefetch = true
                    $0.jwtSvidIncludeJti = true
                }
            }
            try await server.federate(with: "other.example")
            let created = try #require(try await server.create([sent]).first)
            var expected = sent
            expected.createdAt = 1_800_000_000
            #expect(created == expected)
            #expect(try await server.admin.entries.getEntry(.with { $0.id = "my-entry" }) == expected)
            #expect(try await server.admin.entries.listEntries(.init()).entries == [expected])
        }
    }

    @Test("Each entry of a batch has a status of its own")
    func createStatuses() async throws {
        try await TestServer.run { server in
            var noParent = Spire_Api_Types_Entry.example("/b")
            noParent.clearParentID()
            var noSpiffeID = Spire_Api_Types_Entry.example("/b")
            noSpiffeID.clearSpiffeID()
            var foreign = Spire_Api_Types_Entry.example("/b")
            foreign.spiffeID.trustDomain = "other.example"
            var badDomain = Spire_Api_Types_Entry.example("/b")
            badDomain.federatesWith = ["UPPER"]
            let batch: [(entry: Spire_Api_Types_Entry, code: RPCError.Code?)] = [
                (.example("/a"), nil), (.example("/a"), .alreadyExists), (noParent, .invalidArgument),
                (noSpiffeID, .invalidArgument), (foreign, .invalidArgument), (badDomain, .invalidArgument),
                (.example("/b", selectors: []), .invalidArgument),
                (.example("/b", selectors: ["uuid:1"]), .invalidArgument),
                (.example("/b", selectors: [""]), .invalidArgument), (.example("/b/"), .invalidArgument),
                (.example("/spire/agent/x"), .invalidArgument), (.example("/b"), nil),
            ]
            let results = try await server.admin.entries.batchCreateEntry(
                .with { $0.entries = batch.map(\.entry) }
            ).results
            try #require(results.count == batch.count)
            for (result, expected) in zip(results, batch) {
                #expect(result.status.code == Int32(expected.code?.rawValue ?? 0), "\(result.status.message)")
                #expect(result.status.message.isEmpty == false)
            }
            #expect(results[1].entry == results[0].entry, "the entry that is there comes with the refusal")
            #expect(results[1].entry.id.isEmpty == false)
            #expect(try await server.admin.entries.countEntries(.init()).count == 2)
        }
    }

    @Test("An ID may be chosen once")
    func chosenID() async throws {
        try await TestServer.run { server in
            var (one, other) = (Spire_Api_Types_Entry.example("/a"), Spire_Api_Types_Entry.example("/b"))
            (one.id, other.id) = ("mine", "mine")
            let results = try await server.admin.entries.batchCreateEntry(.with { $0.entries = [one, other] }).results
            #expect(results.map(\.status.code) == [0, Int32(RPCError.Code.alreadyExists.rawValue)])
            #expect(results.first?.entry.id == "mine")
        }
    }

    @Test("An update changes what its mask names and nothing else")
    func inputMask() async throws {
        try await TestServer.run { server in
            var entry = Spire_Api_Types_Entry.example("/a")
            entry.id = "a"
            entry.hint = "old"
            entry.dnsNames = ["old.example.org"]
            try await server.create([entry])
            let patch = Spire_Api_Types_Entry.with {
                $0.id = "a"
                $0.hint = "new"
                $0.dnsNames = ["ignored because the mask does not name it"]
                $0.x509SvidTtl = 1800
            }
            let result = try #require(
                try await server.admin.entries.batchUpdateEntry(
                    .with {
                        $0.entries = [patch]
                        $0.inputMask = .with {
                            $0.hint = true
                            $0.x509SvidTtl = true
                        }
                    }
                ).results.first)
            #expect(result.status.code == 0, "\(result.status.message)")
            #expect(result.entry.hint == "new")
            #expect(result.entry.x509SvidTtl == 1800)
            #expect(result.entry.dnsNames == ["old.example.org"])
            #expect(result.entry.spiffeID == .example("/a"))
            #expect(result.entry.selectors == entry.selectors)
            #expect(result.entry.revisionNumber == 1)
            #expect(result.entry.createdAt == 1_800_000_000)
        }
    }

    @Test("An update without a mask replaces everything, so everything has to be there")
    func withoutMask() async throws {
        try await TestServer.run { server in
            var entry = Spire_Api_Types_Entry.example("/a")
            entry.id = "a"
            entry.hint = "old"
            try await server.create([entry])
            var whole = Spire_Api_Types_Entry.example("/moved", selectors: ["uid:2000"])
            whole.id = "a"
            let partial = Spire_Api_Types_Entry.with { $0.id = "a" }
            let results = try await server.admin.entries.batchUpdateEntry(.with { $0.entries = [whole, partial] })
                .results
            #expect(results.map(\.status.code) == [0, Int32(RPCError.Code.invalidArgument.rawValue)])
            let read = try await server.admin.entries.getEntry(.with { $0.id = "a" })
            #expect(read.spiffeID == .example("/moved"))
            #expect(read.hint.isEmpty)
            #expect(read.revisionNumber == 1)
        }
    }

    @Test("Each update of a batch has a status of its own")
    func updateStatuses() async throws {
        try await TestServer.run { server in
            var (a, b) = (Spire_Api_Types_Entry.example("/a"), Spire_Api_Types_Entry.example("/b"))
            (a.id, b.id) = ("a", "b")
            try await server.create([a, b])
            var twin = a
            twin.id = "b"
            var missing = a
            missing.id = "missing"
            var nameless = a
            nameless.id = ""
            let results = try await server.admin.entries.batchUpdateEntry(
                .with { $0.entries = [twin, missing, nameless, b] }
            ).results
            let codes: [RPCError.Code?] = [.alreadyExists, .notFound, .invalidArgument, nil]
            #expect(results.map(\.status.code) == codes.map { Int32($0?.rawValue ?? 0) })
            #expect(try await server.admin.entries.getEntry(.with { $0.id = "b" }).spiffeID == .example("/b"))
        }
    }

    @Test("Deleting tells each ID apart")
    func deletes() async throws {
        try await TestServer.run { server in
            var entry = Spire_Api_Types_Entry.example("/a")
            entry.id = "a"
            try await server.create([entry])
            let results = try await server.admin.entries.batchDeleteEntry(.with { $0.ids = ["a", "b", "a"] }).results
            #expect(results.map(\.id) == ["a", "b", "a"])
            let missing = Int32(RPCError.Code.notFound.rawValue)
            #expect(results.map(\.status.code) == [0, missing, missing])
            try await expectCode(.notFound) { _ = try await server.admin.entries.getEntry(.with { $0.id = "a" }) }
        }
    }

    @Test(
        "Pages hold what was asked for, and together everything once",
        arguments: [(1, 7), (3, 3), (7, 1), (8, 1), (0, 1)] as [(Int32, Int)])
    func pages(size: Int32, count: Int) async throws {
        try await TestServer.run { server in
            let created = try await server.create((0..<7).map { .example("/w\($0)") })
            var (ids, pages, token) = ([String](), 0, "")
            repeat {
                let page = try await server.admin.entries.listEntries(
                    .with { [token] in
                        $0.pageSize = size
                        $0.pageToken = token
                    })
                ids += page.entries.map(\.id)
                token = page.nextPageToken
                pages += 1
            } while !token.isEmpty && pages < 20
            #expect(pages == count)
            #expect(ids == created.map(\.id).sorted())
        }
    }

    @Test("A page size and a token that nobody could have got from here are refused")
    func badPages() async throws {
        try await TestServer.run { server in
            try await expectCode(.invalidArgument) {
                _ = try await server.admin.entries.listEntries(.with { $0.pageSize = -1 })
            }
            for token in ["../x", ".hidden", "a b", "\u{e9}"] {
                try await expectCode(.invalidArgument) {
                    _ = try await server.admin.entries.listEntries(.with { $0.pageToken = token })
                }
            }
        }
    }

    @Test("Digest sets come in pages that any client takes")
    func digestSetPages() async throws {
        try await TestServer.run { server in
            // 256 digests each: more than one message together.
            for number in 0..<80 {
                _ = try await server.admin.digestSets.create(
                    .with {
                        $0.name = "set-\(number)"
                        $0.sha256 = (0..<256).map { digest in
                            String(repeating: "0", count: 58) + String(100_000 + number * 256 + digest)
                        }
                    })
            }
            var (names, pages, token) = ([String](), 0, "")
            repeat {
                let page = try await server.admin.digestSets.list(.with { [token] in $0.pageToken = token })
                #expect(try page.serializedData().count < 2 << 20)
                names += page.digestSets.map(\.name)
                token = page.nextPageToken
                pages += 1
            } while !token.isEmpty && pages < 20
            #expect(names == (0..<80).map { "set-\($0)" }.sorted())
            #expect(pages == 2)
            #expect(try await server.admin.digestSets.list(.with { $0.pageSize = 3 }).digestSets.count == 3)
            try await expectCode(.invalidArgument) {
                _ = try await server.admin.digestSets.list(.with { $0.pageSize = -1 })
            }
        }
    }

    @Test("An output mask leaves the ID and what it names")
    func outputMask() async throws {
        try await TestServer.run { server in
            var entry = Spire_Api_Types_Entry.example("/a")
            entry.hint = "h"
            let mask = Spire_Api_Types_EntryMask.with { $0.hint = true }
            let created = try #require(
                try await server.admin.entries.batchCreateEntry(
                    .with {
                        $0.entries = [entry]
                        $0.outputMask = mask
                    }
                ).results.first?.entry)
            let expected = Spire_Api_Types_Entry.with {
                $0.id = created.id
                $0.hint = "h"
            }
            #expect(!created.id.isEmpty)
            #expect(created == expected)
            let listed = try await server.admin.entries.listEntries(.with { $0.outputMask = mask }).entries
            #expect(listed == [expected])
            let read = try await server.admin.entries.getEntry(
                .with {
                    $0.id = created.id
                    $0.outputMask = .init()
                })
            #expect(read == .with { $0.id = created.id })
        }
    }

    @Test("Filters count and list the same entries")
    func filters() async throws {
        try await TestServer.run { server in
            var federated = Spire_Api_Types_Entry.example("/a", selectors: ["uid:1", "gid:1"])
            federated.federatesWith = ["other.example"]
            try await server.federate(with: "other.example")
            var hinted = Spire_Api_Types_Entry.example("/b", parent: .example("/spire/agent/two"), selectors: ["uid:1"])
            hinted.hint = "h"
            hinted.downstream = true
            try await server.create([federated, hinted, .example("/c", selectors: ["uid:2"])])
            let selectors = Spire_Api_Types_Entry.example("/x", selectors: ["uid:1", "gid:1"]).selectors
            typealias Filter = Spire_Api_Server_Entry_V1_ListEntriesRequest.Filter
            let table: [(filter: Filter, paths: Set<String>)] = [
                (Filter(), ["/a", "/b", "/c"]),
                (.with { $0.bySpiffeID = .example("/a") }, ["/a"]),
                (.with { $0.byParentID = .example("/spire/agent/two") }, ["/b"]),
                (.with { $0.byHint = .with { $0.value = "h" } }, ["/b"]),
                (.with { $0.byHint = .init() }, ["/a", "/c"]),
                (.with { $0.byDownstream = .with { $0.value = true } }, ["/b"]),
                (.with { $0.byFederatesWith = .with { $0.trustDomains = ["other.example"] } }, ["/a"]),
                (match(selectors, .matchExact), ["/a"]), (match(selectors, .matchSubset), ["/a", "/b"]),
                (match(selectors, .matchSuperset), ["/a"]), (match(selectors, .matchAny), ["/a", "/b"]),
                (match(Array(selectors.prefix(1)), .matchSuperset), ["/a", "/b"]),
            ]
            for (filter, paths) in table {
                let listed = try await server.admin.entries.listEntries(.with { $0.filter = filter }).entries
                #expect(Set(listed.map(\.spiffeID.path)) == paths, "\(filter)")
                let counted = try await server.admin.entries.countEntries(
                    .with {
                        $0.filter = .with {
                            if filter.hasBySpiffeID { $0.bySpiffeID = filter.bySpiffeID }
                            if filter.hasByParentID { $0.byParentID = filter.byParentID }
                            if filter.hasBySelectors { $0.bySelectors = filter.bySelectors }
                            if filter.hasByFederatesWith { $0.byFederatesWith = filter.byFederatesWith }
                            if filter.hasByHint { $0.byHint = filter.byHint }
                            if filter.hasByDownstream { $0.byDownstream = filter.byDownstream }
                        }
                    })
                #expect(counted.count == Int32(paths.count), "\(filter)")
            }
            let empty = match([], .matchAny)
            try await expectCode(.invalidArgument) {
                _ = try await server.admin.entries.listEntries(.with { $0.filter = empty })
            }
        }
    }

    @Test("Expired entries are nobody's, and upkeep deletes them")
    func expiry() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            var mortal = Spire_Api_Types_Entry.example("/a", parent: joined.agentID)
            mortal.expiresAt = 1_800_000_060
            try await server.create([mortal, .example("/b", parent: joined.agentID)])
            #expect(try await server.node.entries.getAuthorizedEntries(.init()).entries.count == 2)
            server.clock.advance(by: .seconds(60))
            let left = try await server.node.entries.getAuthorizedEntries(.init()).entries
            #expect(left.map(\.spiffeID.path) == ["/b"])
        }
    }

    private func match(
        _ selectors: [Spire_Api_Types_Selector], _ mode: Spire_Api_Types_SelectorMatch.MatchBehavior
    ) -> Spire_Api_Server_Entry_V1_ListEntriesRequest.Filter {
        .with {
            $0.bySelectors = .with {
                $0.selectors = selectors
                $0.match = mode
            }
        }
    }
}

@Suite("What an agent may serve, over the wire")
struct AuthorizedEntriesTests {
    typealias SyncRequest = Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesRequest

    @Test("An agent sees its own entries and no others, through its mask")
    func ownEntries() async throws {
        try await TestServer.run { server in
            let (one, other) = (try await server.join(), try await server.join())
            try await server.create([
                .example("/a", parent: one.agentID), .example("/b", parent: other.agentID),
                .example("/c", parent: .example("/a")),
            ])
            try await server.present(one)
            let entries = try await server.node.entries.getAuthorizedEntries(.init()).entries
            #expect(Set(entries.map(\.spiffeID.path)) == ["/a", "/c"])
            let masked = try await server.node.entries.getAuthorizedEntries(
                .with { $0.outputMask = .with { $0.spiffeID = true } }
            ).entries
            #expect(masked.allSatisfy { !$0.id.isEmpty && $0.selectors.isEmpty && !$0.hasParentID })
            try await server.present(other)
            let others = try await server.node.entries.getAuthorizedEntries(.init()).entries
            #expect(others.map(\.spiffeID.path) == ["/b"])
        }
    }

    @Test("Up to 500 entries come whole, in one answer", arguments: [0, 1, 500])
    func fewEntries(count: Int) async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            try await server.create((0..<count).map { .example("/w\($0)", parent: joined.agentID) })
            let answers = try await server.node.sync([.init()])
            try #require(answers.count == 1)
            #expect(answers[0].entries.count == count)
            #expect(answers[0].entryRevisions.isEmpty)
            #expect(!answers[0].more)
        }
    }

    @Test("More than 500 come as revisions first, and then what is asked for, 500 a page")
    func manyEntries() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            // One request may hold a thousand.
            let drafts = (0..<1201).map { Spire_Api_Types_Entry.example("/w\($0)", parent: joined.agentID) }
            let created = try await server.create(Array(drafts[..<1000])) + server.create(Array(drafts[1000...]))
            let opening = try await server.node.sync([.init()])
            try #require(opening.count == 1)
            #expect(opening[0].entries.isEmpty)
            #expect(!opening[0].more)
            #expect(Set(opening[0].entryRevisions.map(\.id)) == Set(created.map(\.id)))
            #expect(opening[0].entryRevisions.allSatisfy { $0.revisionNumber == 0 && $0.createdAt == 1_800_000_000 })

            let ids = created.map(\.id)
            let answers = try await server.node.sync([
                .with { $0.outputMask = .with { ($0.spiffeID, $0.revisionNumber) = (true, true) } },
                .with { $0.ids = Array(ids[0..<2]) },
                .with { $0.ids = ids }, .with { $0.ids = ["gone meanwhile"] },
            ])
            #expect(answers.map(\.entries.count) == [0, 2, 500, 500, 201, 0])
            #expect(answers.map(\.more) == [false, false, true, true, false, false])
            #expect(answers[1].entries.map(\.id) == Array(ids[0..<2]))
            #expect(answers[1].entries.allSatisfy { $0.selectors.isEmpty && $0.hasSpiffeID })
            #expect(Set(answers[2...4].flatMap(\.entries).map(\.id)) == Set(ids))
        }
    }

    @Test("Revisions tell an agent which of many entries have changed")
    func changedRevisions() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let created = try await server.create((0..<501).map { .example("/w\($0)", parent: joined.agentID) })
            let changed = created[250].id
            _ = try await server.admin.entries.batchUpdateEntry(
                .with {
                    $0.entries = [
                        .with {
                            $0.id = changed
                            $0.hint = "new"
                        }
                    ]
                    $0.inputMask = .with { $0.hint = true }
                })
            let revisions = try #require(try await server.node.sync([.init()]).first).entryRevisions
            #expect(revisions.count == 501)
            #expect(revisions.filter { $0.revisionNumber != 0 }.map(\.id) == [changed])
        }
    }

    @Test("More than 5000 revisions come in pages")
    func revisionPages() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            for batch in 0..<6 {
                try await server.create((0..<900).map { .example("/b\(batch)/w\($0)", parent: joined.agentID) })
            }
            let answers = try await server.node.sync([.init()])
            #expect(answers.map(\.entryRevisions.count) == [5000, 400])
            #expect(answers.map(\.more) == [true, false])
        }
    }

    @Test("An agent that asks for entries it may not serve gets none of them")
    func foreignIDs() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            try await server.create((0..<501).map { .example("/w\($0)", parent: joined.agentID) })
            let foreign = try await server.create([.example("/foreign", parent: .example("/spire/agent/other"))])
            let answers = try await server.node.sync([.init(), .with { $0.ids = foreign.map(\.id) }])
            try #require(answers.count == 2)
            #expect(answers[1].entries.isEmpty)
        }
    }

    @Test("Sync keeps its order: no IDs first, and the first mask counts, which must show revisions")
    func protocolMistakes() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            try await expectCode(.invalidArgument) { _ = try await server.node.sync([.with { $0.ids = ["a"] }]) }
            #expect(try await server.node.sync([]).isEmpty)
            try await server.create((0..<501).map { .example("/w\($0)", parent: joined.agentID) })
            let blind = SyncRequest.with { $0.outputMask = .init() }
            try await expectCode(.invalidArgument) { _ = try await server.node.sync([blind]) }
            let answers = try await server.node.sync([.init(), blind])
            #expect(answers.count == 2 && answers[0].entryRevisions.count == 501 && answers[1].entries.isEmpty)
        }
    }
}
