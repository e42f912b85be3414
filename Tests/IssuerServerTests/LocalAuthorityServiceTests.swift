import Crypto
import Foundation
import GRPCCore
import IssuerAPIProtos
import IssuerServer
import Logging
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing
import X509

@Suite("The LocalAuthority service")
struct LocalAuthorityServiceTests {
    /// One kind of authority, so that both are asked the same.
    struct Kind: Sendable, CustomTestStringConvertible {
        typealias State = Spire_Api_Server_Localauthority_V1_AuthorityState
        let testDescription: String
        let standing: @Sendable (Clients) async throws -> (active: State, prepared: State?, old: State?)
        let prepare: @Sendable (Clients) async throws -> State
        let activate: @Sendable (Clients, String) async throws -> State
        let taint: @Sendable (Clients, String) async throws -> State
        let revoke: @Sendable (Clients, String) async throws -> State
    }

    static let kinds = [
        Kind(testDescription: "X.509") { clients in
            let answer = try await clients.localAuthority.getX509AuthorityState(.init())
            return (answer.active, answer.hasPrepared ? answer.prepared : nil, answer.hasOld ? answer.old : nil)
        } prepare: {
            try await $0.localAuthority.prepareX509Authority(.init()).preparedAuthority
        } activate: { clients, id in
            try await clients.localAuthority.activateX509Authority(.with { $0.authorityID = id }).activatedAuthority
        } taint: { clients, id in
            try await clients.localAuthority.taintX509Authority(.with { $0.authorityID = id }).taintedAuthority
        } revoke: { clients, id in
            try await clients.localAuthority.revokeX509Authority(.with { $0.authorityID = id }).revokedAuthority
        },
        Kind(testDescription: "JWT") { clients in
            let answer = try await clients.localAuthority.getJWTAuthorityState(.init())
            return (answer.active, answer.hasPrepared ? answer.prepared : nil, answer.hasOld ? answer.old : nil)
        } prepare: {
            try await $0.localAuthority.prepareJWTAuthority(.init()).preparedAuthority
        } activate: { clients, id in
            try await clients.localAuthority.activateJWTAuthority(.with { $0.authorityID = id }).activatedAuthority
        } taint: { clients, id in
            try await clients.localAuthority.taintJWTAuthority(.with { $0.authorityID = id }).taintedAuthority
        } revoke: { clients, id in
            try await clients.localAuthority.revokeJWTAuthority(.with { $0.authorityID = id }).revokedAuthority
        },
    ]

    @Test("An authority goes through its life, each answer naming it and its end", arguments: kinds)
    func life(_ kind: Kind) async throws {
        try await TestServer.run { server in
            let admin = server.admin
            let first = try await kind.standing(admin)
            #expect(first.prepared == nil && first.old == nil)
            #expect(first.active.expiresAt == 1_800_086_400)
            #expect(first.active.upstreamAuthoritySubjectKeyID.isEmpty)
            let prepared = try await kind.prepare(admin)
            #expect(try await kind.standing(admin).prepared == prepared)
            #expect(try await kind.activate(admin, prepared.authorityID) == prepared)
            var standing = try await kind.standing(admin)
            #expect(standing.active == prepared && standing.old == first.active && standing.prepared == nil)
            #expect(try await kind.taint(admin, first.active.authorityID) == first.active)
            let bundle = try await admin.bundle.getBundle(.init())
            #expect(bundle.x509Authorities.count { $0.tainted } + bundle.jwtAuthorities.count { $0.tainted } == 1)
            #expect(try await kind.revoke(admin, first.active.authorityID) == first.active)
            standing = try await kind.standing(admin)
            #expect(standing.old == nil)
            let after = try await admin.bundle.getBundle(.init())
            #expect(after.x509Authorities.count == 1)
            #expect(after.jwtAuthorities.count == 1)
            #expect(after.sequenceNumber > bundle.sequenceNumber)
        }
    }

    @Test("What is out of order is refused with the codes that tools of the public API know", arguments: kinds)
    func codes(_ kind: Kind) async throws {
        try await TestServer.run { server in
            let admin = server.admin
            func refuses(
                _ code: RPCError.Code, _ body: @Sendable (Clients, String) async throws -> Kind.State, _ id: String
            ) async throws {
                try await expectCode(code, "\(id)") { _ = try await body(admin, id) }
            }
            let active = try await kind.standing(admin).active.authorityID
            for id in ["", "none", String(repeating: "x", count: 100_000)] {
                for step in [kind.activate, kind.taint, kind.revoke] { try await refuses(.invalidArgument, step, id) }
            }
            for step in [kind.activate, kind.taint, kind.revoke] { try await refuses(.invalidArgument, step, active) }
            let prepared = try await kind.prepare(admin).authorityID
            for step in [kind.taint, kind.revoke] { try await refuses(.invalidArgument, step, prepared) }
            _ = try await kind.activate(admin, prepared)
            try await refuses(.internalError, kind.activate, active)
            try await refuses(.internalError, kind.revoke, active)
            _ = try await kind.taint(admin, active)
            try await refuses(.internalError, kind.taint, active)
            _ = try await kind.revoke(admin, active)
            try await refuses(.invalidArgument, kind.taint, active)
            try await refuses(.invalidArgument, kind.revoke, active)
        }
    }

    @Test("Without an upstream there are no upstream authorities, and none of the other kind of token")
    func absent() async throws {
        try await TestServer.run { server in
            let service = server.admin.localAuthority
            for id in ["", "00ff"] {
                try await expectCode(.failedPrecondition) {
                    _ = try await service.taintX509UpstreamAuthority(.with { $0.subjectKeyID = id })
                }
                try await expectCode(.failedPrecondition) {
                    _ = try await service.revokeX509UpstreamAuthority(.with { $0.subjectKeyID = id })
                }
            }
            try await expectCode(.unimplemented) { _ = try await service.getWITAuthorityState(.init()) }
            try await expectCode(.unimplemented) { _ = try await service.prepareWITAuthority(.init()) }
            try await expectCode(.unimplemented) { _ = try await service.activateWITAuthority(.init()) }
            try await expectCode(.unimplemented) { _ = try await service.taintWITAuthority(.init()) }
            try await expectCode(.unimplemented) { _ = try await service.revokeWITAuthority(.init()) }
        }
    }

    @Test("Neither agents nor strangers may touch authorities", arguments: kinds)
    func callers(_ kind: Kind) async throws {
        try await TestServer.run { server in
            for isAgent in [false, true] {
                if isAgent { _ = try await server.joinAndPresent() }
                try await expectCode(.permissionDenied) { _ = try await kind.standing(server.node) }
                try await expectCode(.permissionDenied) { _ = try await kind.prepare(server.node) }
                for step in [kind.activate, kind.taint, kind.revoke] {
                    try await expectCode(.permissionDenied) { _ = try await step(server.node, "x") }
                }
                try await expectCode(.permissionDenied) {
                    _ = try await server.node.localAuthority.taintX509UpstreamAuthority(.init())
                }
                try await expectCode(.permissionDenied) {
                    _ = try await server.node.localAuthority.revokeX509UpstreamAuthority(.init())
                }
                try await expectCode(.permissionDenied) { _ = try await server.node.bundle.appendBundle(.init()) }
                try await expectCode(.permissionDenied) {
                    _ = try await server.node.bundle.publishJWTAuthority(.init())
                }
            }
            try await expectCode(.permissionDenied, "an admin is no server below this one") {
                _ = try await server.admin.bundle.publishJWTAuthority(.init())
            }
        }
    }

    @Test("Each step survives a restart", arguments: kinds)
    func restarts(_ kind: Kind) async throws {
        try await TemporaryFolder.use { folder in
            let clock = ManualClock(TestServer.start)
            var before: (standing: [Kind.State?], bundle: Spire_Api_Types_Bundle)?
            for step in 0..<5 {
                try await TestServer.run(in: folder, clock: clock) { server in
                    let admin = server.admin
                    var standing = try await kind.standing(admin)
                    switch step {
                    case 0: break
                    case 1: _ = try await kind.prepare(admin)
                    case 2: _ = try await kind.activate(admin, #require(standing.prepared).authorityID)
                    case 3: _ = try await kind.taint(admin, #require(standing.old).authorityID)
                    default: _ = try await kind.revoke(admin, #require(standing.old).authorityID)
                    }
                    standing = try await kind.standing(admin)
                    #expect((standing.prepared != nil) == (step == 1))
                    #expect((standing.old != nil) == (step == 2 || step == 3))
                }
                let after = try await Self.look(in: folder, clock: clock, kind)
                let again = try await Self.look(in: folder, clock: clock, kind)
                #expect(after.standing == again.standing && after.bundle == again.bundle)
                #expect(after.bundle != before?.bundle)
                before = after
            }
        }
    }

    @Test("AppendBundle publishes what an admin names, and answers with the bundle by its mask")
    func append() async throws {
        try await TestServer.run { server in
            let root = try TestCA(commonName: "added").certificate.derBytes()
            let key = P256.Signing.PrivateKey().publicKey.derRepresentation
            let answer = try await server.admin.bundle.appendBundle(
                .with {
                    $0.x509Authorities = [.with { $0.asn1 = Data(root) }]
                    $0.jwtAuthorities = [
                        .with {
                            $0.keyID = "added"
                            $0.publicKey = key
                            $0.expiresAt = 1_800_000_600
                        },
                        .with {
                            $0.keyID = "endless"
                            $0.publicKey = key
                        },
                    ]
                })
            #expect(answer.x509Authorities.contains { $0.asn1 == Data(root) && !$0.tainted })
            let keys = Dictionary(uniqueKeysWithValues: answer.jwtAuthorities.map { ($0.keyID, $0.expiresAt) })
            #expect(keys["added"] == 1_800_000_600 && keys["endless"] == 0)
            #expect(try await server.admin.bundle.getBundle(.init()) == answer)
            let masked = try await server.admin.bundle.appendBundle(
                .with {
                    $0.x509Authorities = [.with { $0.asn1 = Data(root) }]
                    $0.outputMask = .with { $0.sequenceNumber = true }
                })
            #expect(masked.x509Authorities.isEmpty && masked.jwtAuthorities.isEmpty)
            #expect(masked.sequenceNumber == answer.sequenceNumber, "adding it again changed nothing")
        }
    }

    @Test("AppendBundle refuses what is no authority, and then adds nothing of the request")
    func appendRefusals() async throws {
        try await TestServer.run { server in
            let before = try await server.admin.bundle.getBundle(.init())
            let leaf = try TestCA().leaf().certificate.derBytes()
            let root = try TestCA().certificate.derBytes()
            let key = P256.Signing.PrivateKey().publicKey.derRepresentation
            typealias Request = Spire_Api_Server_Bundle_V1_AppendBundleRequest
            func x509(_ parts: [[UInt8]]) -> Request {
                .with { $0.x509Authorities = parts.map { part in .with { $0.asn1 = Data(part) } } }
            }
            func jwt(_ id: String, _ der: Data, _ end: Int64 = 0) -> Request {
                .with {
                    $0.x509Authorities = [.with { $0.asn1 = Data(root) }]
                    $0.jwtAuthorities = [
                        .with {
                            $0.keyID = id
                            $0.publicKey = der
                            $0.expiresAt = end
                        }
                    ]
                }
            }
            let requests = [
                Request(), x509([[]]), x509([[0x30]]), x509([root, leaf]), x509([root + [0]]),
                x509(Array(repeating: root, count: 101)), x509([[UInt8](repeating: 0x30, count: 70_000)]),
                jwt("", key), jwt("k", Data()), jwt("k", key.dropLast()), jwt("k", key, -1), jwt("k", key, .min),
                jwt("k", key, 1_800_000_000), jwt(String(repeating: "k", count: 256), key),
            ]
            for request in requests {
                try await expectCode(.invalidArgument) { _ = try await server.admin.bundle.appendBundle(request) }
            }
            #expect(try await server.admin.bundle.getBundle(.init()) == before)
        }
    }

    @Test("A server below this one publishes its JWT key, and hears of all that are published")
    func publish() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            var entry = Spire_Api_Types_Entry.example("/below", parent: joined.agentID)
            entry.downstream = true
            let created = try await server.create([entry])
            let csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
            let svid = try await server.node.svids.batchNewX509SVID(
                .with {
                    $0.params = [
                        .with {
                            $0.entryID = created[0].id
                            $0.csr = Data(csr)
                        }
                    ]
                }
            ).results[0].svid
            let below = Joined(
                id: try SPIFFEID("spiffe://example.org/below"), chain: svid.certChain, canReattest: false)
            try await server.present(below)
            let key = Spire_Api_Types_JWTKey.with {
                $0.keyID = "below"
                $0.publicKey = P256.Signing.PrivateKey().publicKey.derRepresentation
                $0.expiresAt = 1_800_003_600
            }
            let answer = try await server.node.bundle.publishJWTAuthority(.with { $0.jwtAuthority = key })
            #expect(answer.jwtAuthorities.count == 2 && answer.jwtAuthorities.contains(key))
            #expect(try await server.admin.bundle.getBundle(.init()).jwtAuthorities == answer.jwtAuthorities)
            try await expectCode(.invalidArgument) { _ = try await server.node.bundle.publishJWTAuthority(.init()) }
            var other = key
            other.publicKey = P256.Signing.PrivateKey().publicKey.derRepresentation
            try await expectCode(.alreadyExists) { [other] in
                _ = try await server.node.bundle.publishJWTAuthority(.with { $0.jwtAuthority = other })
            }
            _ = try await server.admin.entries.batchDeleteEntry(.with { $0.ids = [created[0].id] })
            try await expectCode(.permissionDenied) {
                _ = try await server.node.bundle.publishJWTAuthority(.with { $0.jwtAuthority = key })
            }
        }
    }

    @Test("A minted SVID that the authority cuts short is explained in the log, a whole one is not")
    func shortfall() async throws {
        try await TestServer.run { server in
            for ttl in [60, 200_000] as [Int32] {
                _ = try await server.admin.svids.mintJWTSVID(
                    .with {
                        $0.id = .example("/minted")
                        $0.audience = ["a"]
                        $0.ttl = ttl
                    })
            }
            let notes = server.logs.records.filter { $0.message == "svid is shorter than asked" }
            #expect(notes.count == 1)
            let text = notes.first?.metadata["svid.shortfall"]?.description ?? ""
            #expect(
                text.contains("200000 s were asked for and 86400 s are left: the signing authority ends"), "\(text)")
        }
    }

    private static func look(
        in folder: String, clock: ManualClock, _ kind: Kind
    ) async throws -> (standing: [Kind.State?], bundle: Spire_Api_Types_Bundle) {
        let found = Found()
        try await TestServer.run(in: folder, clock: clock) { server in
            let standing = try await kind.standing(server.admin)
            await found.set(
                [standing.active, standing.prepared, standing.old], try await server.admin.bundle.getBundle(.init()))
        }
        return (await found.standing, await found.bundle)
    }

    private actor Found {
        var standing: [Kind.State?] = []
        var bundle = Spire_Api_Types_Bundle()

        func set(_ standing: [Kind.State?], _ bundle: Spire_Api_Types_Bundle) {
            (self.standing, self.bundle) = (standing, bundle)
        }
    }
}
