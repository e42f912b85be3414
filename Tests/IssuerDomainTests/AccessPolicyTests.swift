import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing

@Suite("Who holds which role")
struct AccessPolicyTests {
    static let grants: [Grant] = [
        Grant(name: "desk", role: .viewer, holders: [.uid(1000)]),
        Grant(name: "ops", role: .operator, holders: [.gid(50), .claim(issuer: "corp", name: "groups", value: "ops")]),
        Grant(name: "keys", role: .authorityOperator, holders: [.uid(1000)]),
    ]
    static let policy = AccessPolicy(owners: [0, 77], grants: grants)

    @Test("Root and the server's own account may do everything, others nothing unless somebody said so")
    func owners() {
        for uid: UInt32 in [0, 77] {
            let rights = Self.policy.rights(of: .account(uid: uid, gid: 9))
            #expect(rights.permissions == Set(Permission.allCases))
            #expect(rights.scopes == nil)
        }
        #expect(Self.policy.rights(of: .account(uid: 78, gid: 9)).permissions.isEmpty)
        #expect(Self.policy.rights(of: .stranger(address: "uid:0")).permissions.isEmpty)
    }

    @Test("However many accounts an owner has, at the desk they are one person")
    func people() throws {
        let people = [UInt32(0), 77].map { Self.policy.person(behind: .account(uid: $0, gid: $0)) }
        #expect(people[0].isSame(as: people[1]))
        #expect(!people[0].isSame(as: Self.policy.person(behind: .account(uid: 1000, gid: 0))))
        let id = Principal.spiffeID(try Sample.id("/keys"))
        #expect(Self.policy.person(behind: id) == id)
    }

    @Test("Roles add up, and a group's members hold its role")
    func roles() {
        #expect(Self.policy.rights(of: .account(uid: 1000, gid: 9)).permissions == [.view, .authorities])
        #expect(Self.policy.rights(of: .account(uid: 5, gid: 50)).permissions == [.view, .operate])
        #expect(
            Self.policy.rights(of: .account(uid: 1000, gid: 50)).permissions == [.view, .authorities, .operate])
        #expect(Self.policy.rights(of: .account(uid: 5, gid: 9, groups: [7, 50])).permissions == [.view, .operate])
        #expect(Self.policy.rights(of: .account(uid: 5, gid: 9, groups: [7, 51])).permissions.isEmpty)
    }

    @Test("A claim counts only in a token of the issuer that was named, whether a text or one of a list")
    func claims() {
        func permissions(_ issuer: String, _ claims: [String: [String]]) -> Set<Permission> {
            Self.policy.rights(of: .subject(issuer: issuer, name: "alice"), claims: claims).permissions
        }
        #expect(permissions("corp", ["groups": ["dev", "ops"]]) == [.view, .operate])
        #expect(permissions("corp", ["groups": ["ops"]]) == [.view, .operate])
        #expect(permissions("corp", ["groups": ["opsx"], "roles": ["ops"]]).isEmpty)
        #expect(permissions("other", ["groups": ["ops"]]).isEmpty)
    }

    @Test("Whoever holds the SVID of an admin entry is an admin")
    func adminEntry() throws {
        let id = Principal.spiffeID(try Sample.id("/ops"))
        #expect(Self.policy.rights(of: id).permissions.isEmpty)
        #expect(Self.policy.rights(of: id, holdsAdminEntry: true).permissions == Set(Permission.allCases))
    }

    @Test(
        "Holders are read as they are written",
        arguments: [
            ("uid:1000", .uid(1000)), ("gid:0", .gid(0)),
            ("oidc:corp:sub=alice", .claim(issuer: "corp", name: "sub", value: "alice")),
            ("oidc:corp:sub=a=b", .claim(issuer: "corp", name: "sub", value: "a=b")),
            ("uid:-1", nil), ("uid:4294967296", nil), ("uid:", nil), ("1000", nil), ("oidc:corp", nil),
            ("oidc::sub=x", nil), ("oidc:corp:=x", nil), ("oidc:corp:sub=", nil), ("spiffe://UPPER/x", nil), ("", nil),
        ] as [(String, Grant.Holder?)])
    func holders(text: String, expected: Grant.Holder?) { #expect(Grant.Holder(text) == expected) }
}

@Suite("What a registrar may touch")
struct RegistrationScopeTests {
    static func scope() throws -> RegistrationScope {
        RegistrationScope(
            prefixes: [try Sample.id("/team-a")], selectorKinds: ["unix"], dnsNames: ["a.example.org"])
    }

    static func contents(
        _ path: String = "/team-a/web", _ change: (inout EntryContents) throws -> Void = { _ in }
    ) throws -> EntryContents {
        var contents = try Sample.entry("e", path: path).contents
        try change(&contents)
        return contents
    }

    @Test("What lies within is admitted", arguments: ["/team-a", "/team-a/web", "/team-a/x/y"])
    func inside(path: String) throws { #expect(try Self.scope().violation(of: Self.contents(path)) == nil) }

    @Test(
        "A prefix ends at a slash, and only counts in its trust domain",
        arguments: ["/team-b", "/team-ab", "/team-a.b/web", "/x/team-a", "/Team-a"])
    func outside(path: String) throws { #expect(try Self.scope().violation(of: Self.contents(path)) != nil) }

    @Test("Nothing else of an entry leads beyond the scope")
    func fields() throws {
        func isAdmitted(_ change: (inout EntryContents) throws -> Void) throws -> Bool {
            try Self.scope().violation(of: Self.contents("/team-a/web", change)) == nil
        }
        #expect(try !isAdmitted { $0.isAdmin = true })
        #expect(try !isAdmitted { $0.isDownstream = true })
        #expect(try !isAdmitted { $0.selectors.append(try Selector(parsing: "k8s:ns:prod")) })
        #expect(try !isAdmitted { $0.parentID = try Sample.id("/team-b/node") })
        #expect(try !isAdmitted { $0.parentID = try SPIFFEID("spiffe://example.org/spire/agentx") })
        #expect(try isAdmitted { $0.parentID = try Sample.id("/team-a/node") })
        #expect(try isAdmitted { $0.dnsNames = ["a.example.org", "x.A.example.org"] })
        #expect(try !isAdmitted { $0.dnsNames = ["xa.example.org"] })
        #expect(try !isAdmitted { $0.spiffeID = try SPIFFEID("spiffe://other.example/team-a/web") })
    }

    @Test("Named parents are the only ones")
    func parents() throws {
        let scope = RegistrationScope(
            prefixes: [try Sample.id("/team-a")], parents: [try Sample.id("/spire/agent/x509pop/a")])
        #expect(scope.violation(of: try Self.contents()) != nil)
        #expect(
            scope.violation(of: try Self.contents { $0.parentID = try Sample.id("/spire/agent/x509pop/a/1") }) == nil)
    }

    @Test("A registrar neither takes over an entry by changing it, nor deletes it, nor moves one out")
    func stealing() async throws {
        let store = GuardedEntryStore(MemoryStore())
        let foreign = try Sample.entry("foreign", path: "/team-b/web")
        let own = try Sample.entry("own", path: "/team-a/web")
        _ = try await store.apply([.put(foreign), .put(own)])
        var stolen = foreign
        stolen.contents.spiffeID = try Sample.id("/team-a/stolen")
        var moved = own
        moved.contents.spiffeID = try Sample.id("/team-b/moved")
        let attempts: [[EntryChange]] = [
            [.put(stolen)], [.put(moved)], [.delete(id: "foreign")],
            [.put(try Sample.entry("new", path: "/team-b/new"))],
            [.delete(id: "own"), .delete(id: "foreign")],
        ]
        await RegistrationScope.$binding.withValue([try Self.scope()]) {
            for attempt in attempts {
                await #expect(throws: StoreError.self) { _ = try await store.apply(attempt) }
            }
        }
        #expect(try await Set(store.loadEntries().entries) == [foreign, own])
        try await RegistrationScope.$binding.withValue([try Self.scope()]) {
            _ = try await store.apply([.delete(id: "own")])
        }
        #expect(try await store.loadEntries().entries == [foreign])
    }

    @Test("A registrar without a scope may change nothing")
    func noScope() async throws {
        let store = GuardedEntryStore(MemoryStore())
        await RegistrationScope.$binding.withValue([]) {
            await #expect(throws: StoreError.self) { _ = try await store.apply([.put(try Sample.entry("a"))]) }
        }
    }

    @Test("Power comes from entries with the flag, while they last, and goes with them")
    func powers() async throws {
        let store = GuardedEntryStore(MemoryStore())
        var entry = try Sample.entry("e", path: "/ops")
        entry.contents.isAdmin = true
        entry.contents.expiresAt = Sample.start + 10
        _ = try await store.apply([.put(entry)])
        let id = entry.contents.spiffeID
        #expect(store.holdsAdminEntry(id, now: Sample.start))
        #expect(!store.holdsDownstreamEntry(id, now: Sample.start))
        #expect(!store.holdsAdminEntry(id, now: Sample.start + 10))
        #expect(!store.holdsAdminEntry(try Sample.id("/op"), now: Sample.start))
        entry.contents.isAdmin = false
        entry.contents.isDownstream = true
        _ = try await store.apply([.put(entry)])
        #expect(!store.holdsAdminEntry(id, now: Sample.start))
        #expect(store.holdsDownstreamEntry(id, now: Sample.start))
        _ = try await store.apply([.delete(id: "e")])
        #expect(!store.holdsDownstreamEntry(id, now: Sample.start))
    }
}
