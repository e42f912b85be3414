import Foundation
import GRPCCore
import IssuerAPIProtos
import IssuerDomain
import IssuerServer
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing

@Suite("The table of methods")
struct MethodTableTests {
    /// Somebody who calls, and what they may do.
    enum Somebody: String, CaseIterable, CustomTestStringConvertible {
        case owner
        case stranger
        case workload
        case agent
        case bannedAgent
        case downstream
        case adminEntry
        case adminID
        case viewer
        case registrar
        case `operator`
        case authorityOperator

        var testDescription: String { rawValue }

        var classes: Set<CallerClass> {
            switch self {
            case .owner: [.any, .local]
            case .stranger, .workload, .bannedAgent: [.any]
            case .agent: [.any, .agent]
            case .downstream: [.any, .downstream]
            case .adminEntry, .adminID, .viewer, .registrar, .operator, .authorityOperator: [.any, .admin]
            }
        }

        var permissions: Set<Permission> {
            switch self {
            case .owner, .adminEntry, .adminID: Set(Permission.allCases)
            case .stranger, .workload, .agent, .bannedAgent, .downstream: []
            case .viewer: [.view]
            case .registrar: [.view, .register]
            case .operator: [.view, .operate]
            case .authorityOperator: [.view, .authorities]
            }
        }

        /// Said once more, apart from the code that decides.
        func may(_ rule: MethodRule) -> Bool {
            if rule.callers.contains(.any) { return true }
            if !rule.callers.isDisjoint(with: classes.intersection([.agent, .downstream])) { return true }
            guard let permission = rule.permission, permissions.contains(permission) else { return false }
            return !rule.callers.isDisjoint(with: classes.intersection([.local, .admin]))
        }

        func makeCalls(on access: AccessServer) async throws {
            let server = access.server
            switch self {
            case .owner, .stranger: break
            case .workload: try await access.present("/workload")
            case .agent: _ = try await server.joinAndPresent()
            case .bannedAgent:
                let joined = try await server.joinAndPresent()
                _ = try await server.admin.agents.banAgent(.with { $0.id = joined.agentID })
            case .downstream:
                var entry = Spire_Api_Types_Entry.example("/below")
                entry.downstream = true
                try await server.create([entry])
                try await access.present("/below")
            case .adminEntry:
                var entry = Spire_Api_Types_Entry.example("/boss")
                entry.admin = true
                try await server.create([entry])
                try await access.present("/boss")
            case .adminID, .viewer, .registrar, .operator, .authorityOperator:
                try await access.present("/role/\(rawValue)")
            }
        }
    }

    static func settings() throws -> AccessSettings {
        func id(_ somebody: Somebody) throws -> Set<Grant.Holder> {
            [.spiffeID(try SPIFFEID("spiffe://example.org/role/\(somebody.rawValue)"))]
        }
        return AccessSettings(grants: [
            Grant(name: "a", role: .admin, holders: try id(.adminID)),
            Grant(name: "v", role: .viewer, holders: try id(.viewer)),
            Grant(
                name: "r", role: .registrar, holders: try id(.registrar),
                scope: RegistrationScope(prefixes: [try SPIFFEID("spiffe://example.org/team-a")])),
            Grant(name: "o", role: .operator, holders: try id(.operator)),
            Grant(name: "k", role: .authorityOperator, holders: try id(.authorityOperator)),
        ])
    }

    @Test("Every method of every proto has a row, and every row is for a method")
    func complete() throws {
        let methods = try ServedSchema().methods
        let rows = MethodTable.rows.map(\.method)
        #expect(Set(methods).subtracting(rows).sorted() == [], "methods that nobody may call: give them a row")
        #expect(Set(rows).subtracting(methods).sorted() == [], "rows for methods that are not there")
        #expect(rows.count == Set(rows).count)
        for rule in MethodTable.rows {
            #expect(!rule.callers.isEmpty, "\(rule.method)")
            let isForStaff = !rule.callers.isDisjoint(with: [.local, .admin])
            #expect(!isForStaff || rule.permission != nil, "\(rule.method): which role?")
            #expect(!rule.needsTwo || rule.permission == .authorities, "\(rule.method)")
        }
    }

    @Test("Every method lets in those whom its row names, and nobody else", arguments: Somebody.allCases)
    func everyMethod(somebody: Somebody) async throws {
        try await AccessServer.run(try Self.settings()) { access in
            try await somebody.makeCalls(on: access)
            for rule in MethodTable.rows {
                // Streams that go on for ever are let in as soon as they do not fail; a refusal comes however long it takes.
                let limit: Duration = somebody.may(rule) ? .milliseconds(400) : .seconds(60)
                let error =
                    somebody == .owner
                    ? try await ending(of: rule.method, by: access.local, within: limit)
                    : try await ending(of: rule.method, by: access.node, within: limit)
                let isRefused = error.map { [.permissionDenied, .unauthenticated].contains($0.code) } ?? false
                let isServed = !(error.map(Self.isUnknownToRouter) ?? false)
                #expect(isServed, "\(rule.method) is not served")
                guard isServed else { continue }
                #expect(isRefused == !somebody.may(rule), "\(rule.method): \(String(describing: error))")
                if isRefused { #expect(error?.message.isEmpty == false, "\(rule.method)") }
            }
        }
    }

    private static func isUnknownToRouter(_ error: RPCError) -> Bool {
        error.code == .unimplemented && !error.message.contains("is not implemented")
    }

    @Test("A method without a row is refused to everybody")
    func noRow() async throws {
        #expect(MethodTable([])["grpc.health.v1.Health/Check"] == nil)
        #expect(MethodTable()["grpc.health.v1.Health/check"] == nil)
        #expect(MethodTable()["grpc.health.v1.Health/Check"] != nil)
    }

    @Test("A registrar registers within the scope, over every API, and nowhere else")
    func registrar() async throws {
        try await AccessServer.run(try Self.settings()) { access in
            let (admin, registrar) = (access.server.admin, access.server.node)
            try await access.server.create([.example("/team-b/theirs")])
            let theirs = try #require(try await admin.entries.listEntries(.init()).entries.first)
            try await access.present("/role/registrar")
            let created = try await registrar.entries.batchCreateEntry(
                .with { $0.entries = [.example("/team-a/own")] }
            ).results
            #expect(created.map(\.status.code) == [0])
            let own = try #require(created.first?.entry)
            let (refused, done) = (Int32(RPCError.Code.permissionDenied.rawValue), Int32(0))
            var (stolen, moved, boss) = (theirs, own, Spire_Api_Types_Entry.example("/team-a/boss"))
            stolen.spiffeID.path = "/team-a/stolen"
            moved.spiffeID.path = "/team-b/moved"
            boss.admin = true
            let creation = try await registrar.entries.batchCreateEntry(
                .with { [boss] in $0.entries = [.example("/team-b/new"), boss, .example("/team-a/other")] })
            #expect(creation.results.map(\.status.code) == [refused, refused, done], "each on its own merits")
            let update = try await registrar.entries.batchUpdateEntry(
                .with { [stolen, moved] in $0.entries = [stolen, moved] })
            #expect(update.results.map(\.status.code) == [refused, refused])
            let deletion = try await registrar.entries.batchDeleteEntry(
                .with { $0.ids = [theirs.id, creation.results[2].entry.id] })
            #expect(deletion.results.map(\.status.code) == [refused, done])
            let registration = try await registrar.registration.createEntries(
                .with { $0.items = [.with { $0.entry = .example("/team-b/new") }] })
            #expect(registration.results.map(\.status.code) == [refused])
            let change = try await registrar.registration.updateEntries(
                .with {
                    $0.items = [
                        .with {
                            $0.entry = theirs
                            $0.mask.hint = true
                        }
                    ]
                })
            #expect(change.results.map(\.status.code) == [refused])
            let paths = try await admin.entries.listEntries(.init()).entries.map(\.spiffeID.path)
            #expect(Set(paths) == ["/team-a/own", "/team-b/theirs"])
            _ = try await registrar.entries.batchDeleteEntry(.with { $0.ids = [own.id] })
            #expect(try await admin.entries.countEntries(.init()).count == 1)
        }
    }

    @Test("A request that holds too many items is refused before it is looked at")
    func tooManyItems() async throws {
        try await AccessServer.run(.init()) { access in
            try await expectCode(.invalidArgument) {
                _ = try await access.server.admin.entries.batchDeleteEntry(
                    .with { $0.ids = (0...1000).map { "\($0)" } })
            }
        }
    }
}
