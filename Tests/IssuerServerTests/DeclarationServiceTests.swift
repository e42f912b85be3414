import Foundation
import GRPCCore
import IssuerAPIProtos
import IssuerDomain
import SwiftProtobuf
import Testing

@Suite("Declarations over the wire")
struct DeclarationServiceTests {
    private func apply(
        _ server: TestServer, _ text: String, change: (inout Mintmark_V1_ApplyRequest) -> Void = { _ in }
    ) async throws -> Mintmark_V1_ApplyResponse {
        var request = Mintmark_V1_ApplyRequest()
        request.managedBy = "team"
        request.documents = [
            .with {
                $0.name = "f.yaml"
                $0.text = text
            }
        ]
        change(&request)
        return try await server.admin.declarations.apply(request)
    }

    private static let header = """
        entries:
          - spiffe_id: spiffe://example.org/a
            parent_id: spiffe://example.org/spire/agent/one
            selectors: ["unix:uid:1000"]

        """

    @Test("Every key of a document ends up in the entry")
    func everyKey() async throws {
        try await TestServer.run { server in
            _ = try await server.admin.digestSets.create(
                .with {
                    $0.name = "release"
                    $0.sha256 = [String(repeating: "a", count: 64)]
                })
            try await server.federate(with: "other.example")
            let answer = try await apply(
                server,
                """
                entries:
                  - id: every
                    spiffe_id: spiffe://example.org/a
                    parent_id: spiffe://example.org/spire/agent/one
                    selectors: ["unix:uid:1000"]
                    any_of: [["unix:gid:1", "unix:gid:2"]]
                    none_of: ["unix:supplementary_gid:27"]
                    digest_sets: [release]
                    id_template: "{unix:user}"
                    min_assurance: 3
                    allow_jit: true
                    x509_svid_ttl: 30m
                    jwt_svid_ttl: 90
                    key_type: rsa-2048
                    per_instance_keys: true
                    audiences: [api]
                    not_before: 2030-01-01T00:00:00Z
                    expires_at: 2031-01-01T00:00:00Z
                    disabled: true
                    hint: h
                    dns_names: [a.example]
                    federates_with: [other.example]
                    store_svid: true
                    disable_x509_svid_prefetch: true
                    jwt_svid_include_jti: true
                    class: agent
                    description: d
                    owner: yes
                    purpose: p
                    labels: {env: prod, stage: 1}
                """)
            try #require(answer.problems.isEmpty, "\(answer.problems)")
            #expect(answer.applied)
            let stored = try await server.admin.registration.getEntry(.with { $0.id = "every" })
            let (entry, details) = (stored.entry, stored.details)
            #expect(entry.x509SvidTtl == 1800 && entry.jwtSvidTtl == 90 && entry.hint == "h" && entry.storeSvid)
            #expect(entry.dnsNames == ["a.example"] && entry.federatesWith == ["other.example"])
            #expect(entry.expiresAt == 1_924_992_000 && details.notBefore == 1_893_456_000)
            #expect(entry.additionalAttributes.disableX509SvidPrefetch && entry.additionalAttributes.jwtSvidIncludeJti)
            #expect(stored.terms.minAssurance == 3 && stored.terms.allowJit)
            #expect(details.keyType == "rsa-2048" && details.perInstanceKeys && details.disabled)
            #expect(details.audiences == ["api"] && details.class == .agent && details.idTemplate == "{unix:user}")
            #expect(details.description_p == "d" && details.owner == "yes" && details.purpose == "p")
            #expect(details.labels == ["env": "prod", "stage": "1", "managed-by": "team"])
            #expect(details.rules.anyOf.first?.selectors.count == 2 && details.rules.noneOf.count == 1)
            #expect(details.rules.digestSets == ["release"])
        }
    }

    /// What is wrong, the line that is told, and a word of the reason.
    static let faults: [(text: String, line: Int, says: String)] = [
        (header + "    hnt: x", 5, "did you mean 'hint'"), (header + "    whatsoever: x", 5, "unknown key"),
        ("things: []", 1, "unknown key 'things'"), ("- a", 1, "not a mapping"), ("entries: {}", 1, "not a list"),
        ("entries:\n  - a", 2, "not a mapping"), ("entries: [", 2, "expected node content"),
        ("entries:\n  - {}", 2, "spiffe_id"),
        (header + "    min_assurance: 4", 5, "0, 1, 2 or 3"), (header + "    min_assurance: high", 5, "whole number"),
        (header + "    admin: \"true\"", 5, "true or false"), (header + "    admin: yes", 5, "true or false"),
        (header + "    x509_svid_ttl: soon", 5, "duration"), (header + "    expires_at: tomorrow", 5, "RFC 3339"),
        (header + "    class: robot", 5, "agent, tool, service"), (header + "    key_type: dsa", 5, "ec-p256"),
        (header + "    labels: [a]", 5, "mapping"), (header + "    any_of: [\"unix:uid:1\"]", 5, "lists"),
        (header + "    none_of: [\"unix\"]", 5, "colon"), (header + "    dns_names: [[a]]", 5, "text"),
        (header + "    id_template: \"{unix:path}\"", 5, "no single value"),
        (header + "    hint: a\n    hint: b", 6, "more than once"),
        (header + "    parent_id: spiffe://UPPER/a", 5, "more than once"),
        (header + "    hint: &x a\n    owner: *x", 5, "anchors"),
        ("entries:\n  - spiffe_id: Spiffe://a\n    selectors: []", 2, "spiffe_id"),
        // What the entry as a whole breaks is told where it begins.
        (
            "entries:\n  - spiffe_id: spiffe://example.org/a\n    parent_id: spiffe://example.org/b", 2, "no selector"
        ),
        (header + "    class: agent", 2, "class agent"),
        (header + "    federates_with: [nobody.example]", 2, "no bundle of trust domain 'nobody.example'"),
    ]

    @Test("What is wrong is told with its document and line, and nothing is stored", arguments: faults)
    func tellsWhere(fault: (text: String, line: Int, says: String)) async throws {
        try await TestServer.run { server in
            let answer = try await apply(server, fault.text)
            let problem = try #require(answer.problems.first, "\(fault.text)")
            #expect(!answer.applied)
            #expect(problem.message.contains(fault.says), "\(problem.message)")
            if fault.says != "more than once" { #expect(problem.source == "f.yaml:\(fault.line)") }
            #expect(try await server.admin.registration.listEntries(.init()).entries.isEmpty)
        }
    }

    @Test("Deep nesting and large documents are refused, not followed")
    func hostile() async throws {
        try await TestServer.run { server in
            let deep = try await apply(server, "entries: " + String(repeating: "[", count: 200_000))
            #expect(deep.problems.count == 1)
            let nested = String(repeating: "- ", count: 100_000)
            #expect(try await apply(server, nested).problems.count == 1)
            try await expectCode(.invalidArgument) {
                _ = try await apply(server, String(repeating: "#", count: (3 << 20) + 1))
            }
            try await expectCode(.invalidArgument) {
                _ = try await apply(server, "") { $0.documents = Array(repeating: .init(), count: 1025) }
            }
            try await expectCode(.invalidArgument) { _ = try await apply(server, "") { $0.managedBy = "" } }
        }
    }

    @Test("A dry run changes nothing, a second run has nothing to do, and pruning takes the rest")
    func cycle() async throws {
        try await TestServer.run { server in
            let dry = try await apply(server, Self.header) { $0.dryRun = true }
            #expect(!dry.applied && dry.steps.map(\.action) == [.create])
            #expect(try await server.admin.registration.listEntries(.init()).entries.isEmpty)
            #expect(try await apply(server, Self.header) { $0.expectedPlan = dry.plan }.applied)
            let again = try await apply(server, Self.header)
            #expect(again.steps.isEmpty && again.unchanged == 1)
            let changed = try await apply(server, Self.header + "    hint: new")
            #expect(changed.steps.first?.changes.map(\.field) == ["hint"])
            #expect(changed.steps.first?.source == "f.yaml:2")
            let pruned = try await apply(server, "entries: []") { $0.prune = true }
            #expect(pruned.steps.map(\.action) == [.delete])
            #expect(try await server.admin.registration.listEntries(.init()).entries.isEmpty)
        }
    }

    @Test("A plan that is too long for one answer is cut, and every step of it is counted all the same")
    func cut() async throws {
        try await TestServer.run { server in
            let path = String(repeating: "p", count: 1900)
            let text = (1...1300).map { number in
                """
                  - spiffe_id: spiffe://example.org/\(path)/\(number)
                    parent_id: spiffe://example.org/spire/agent/one
                    selectors: ["unix:uid:\(number)"]

                """
            }
            let whole = "entries:\n" + text.joined()
            let dry = try await apply(server, whole) { $0.dryRun = true }
            try #require(dry.problems.isEmpty, "\(dry.problems.prefix(1))")
            #expect((1000..<1300).contains(dry.steps.count))
            #expect(Int(dry.omitted) == 1300 - dry.steps.count)
            #expect(dry.creations == 1300 && dry.updates == 0 && dry.deletions == 0)
            // What is not told is done.
            let done = try await apply(server, whole) { $0.expectedPlan = dry.plan }
            #expect(done.applied && done.creations == 1300 && done.omitted == dry.omitted)
            #expect(try await server.admin.entries.countEntries(.init()).count == 1300)
            let pruned = try await apply(server, Self.header) { $0.prune = true }
            #expect(pruned.creations == 1 && pruned.deletions == 1300 && pruned.omitted > 0)
        }
    }

    @Test("With one agent a parent can be left out, with none or two it cannot")
    func defaultParent() async throws {
        try await TestServer.run { server in
            let text = "entries:\n  - spiffe_id: spiffe://example.org/a\n    selectors: [\"unix:uid:1\"]"
            #expect(try await apply(server, text).problems.count == 1)
            let joined = try await server.join()
            #expect(try await apply(server, text).applied)
            let entry = try #require(try await server.admin.registration.listEntries(.init()).entries.first)
            #expect(entry.entry.parentID == joined.agentID)
            _ = try await server.join()
            #expect(try await apply(server, text).problems.count == 1)
        }
    }

    @Test("Lint tells of stored entries and of documents, and changes neither")
    func lint() async throws {
        try await TestServer.run { server in
            #expect(try await server.admin.declarations.lint(.init()) == .init())
            try await server.create([
                .example("/a", selectors: ["uid:1"]), .example("/a", selectors: ["uid:1", "gid:1"]),
            ])
            let stored = try await server.admin.declarations.lint(.init())
            #expect(stored.findings.map(\.kind).filter { $0 != "orphaned" } == ["redundant"])
            #expect(stored.findings.filter { $0.kind == "orphaned" }.count == 2, "nobody let their agent in")
            let documents = try await server.admin.declarations.lint(
                .with {
                    $0.documents = [
                        .with {
                            $0.name = "f.yaml"
                            $0.text = Self.header + "    class: agent"
                        }
                    ]
                })
            #expect(documents.findings.contains { $0.kind == "weak" && $0.entries == ["f.yaml:2"] })
            #expect(try await server.admin.registration.listEntries(.init()).entries.count == 2)
        }
    }

    @Test("Nobody but an admin declares")
    func access() async throws {
        try await TestServer.run { server in
            _ = try await server.joinAndPresent()
            try await expectCode(.permissionDenied) { _ = try await server.node.declarations.apply(.init()) }
            try await expectCode(.permissionDenied) { _ = try await server.node.declarations.lint(.init()) }
        }
    }
}
