import Crypto
import Foundation
import GRPCCore
import IssuerAPIProtos
import IssuerDomain
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing
import X509

@Suite("Details of entries over the wire")
struct EntryDetailsServiceTests {
    private static func full() -> Mintmark_V1_Details {
        .with {
            $0.description_p = "Reviews changes"
            $0.owner = "team-a"
            $0.purpose = "review"
            $0.labels = ["env": "prod"]
            $0.class = .agent
            $0.notBefore = 1_800_000_100
            $0.disabled = true
            $0.audiences = ["api", "other"]
            $0.keyType = "ec-p384"
            $0.perInstanceKeys = true
            $0.rules.anyOf = [
                .with {
                    $0.selectors = [
                        .with {
                            $0.type = "unix"
                            $0.value = "path:/a"
                        }
                    ]
                }
            ]
            $0.rules.noneOf = [
                .with {
                    $0.type = "unix"
                    $0.value = "gid:0"
                }
            ]
            $0.rules.digestSets = ["release"]
            $0.idTemplate = "{unix:user}"
        }
    }

    private static let digest = String(repeating: "a", count: 64)

    @Test("Every detail comes back, and an update moves only what its mask names")
    func roundTrip() async throws {
        try await TestServer.run { server in
            _ = try await server.admin.digestSets.create(
                .with {
                    $0.name = "release"
                    $0.sha256 = [Self.digest]
                })
            let created = try await server.register([.example("/full") { $0.details = Self.full() }])
            let result = try #require(created.first)
            try #require(result.status.code == 0, "\(result.status.message)")
            #expect(result.entry.details == Self.full())
            #expect(result.entry.terms.minAssurance == 3, "a digest set needs what was measured at exec")
            let id = result.entry.entry.id
            let masks: [WritableKeyPath<Mintmark_V1_DetailsMask, Bool>] = [
                \.description_p, \.owner, \.purpose, \.labels, \.class, \.notBefore, \.disabled, \.audiences,
                \.keyType, \.perInstanceKeys, \.anyOf, \.noneOf, \.digestSets, \.idTemplate,
            ]
            var last = result.entry.details
            for (number, path) in masks.enumerated() {
                let response = try await server.admin.registration.updateEntries(
                    .with {
                        $0.items = [
                            .with {
                                $0.entry.id = id
                                $0.detailsMask[keyPath: path] = true
                                $0.force = true
                            }
                        ]
                    })
                let updated = try #require(response.results.first)
                try #require(updated.status.code == 0, "\(updated.status.message)")
                #expect(updated.entry.entry.revisionNumber == Int64(number) + 1)
                #expect(updated.entry.details != last, "field \(number) is back at its default")
                last = updated.entry.details
            }
            #expect(last == Mintmark_V1_Details())
        }
    }

    @Test("Each detail that is none is refused, and the reason names it")
    func badDetails() async throws {
        try await TestServer.run { server in
            let faults: [(String, @Sendable (inout Mintmark_V1_Details) -> Void)] = [
                ("key_type", { $0.keyType = "rsa-1024" }), ("class", { $0.class = .UNRECOGNIZED(9) }),
                ("template", { $0.idTemplate = "a" }), ("audience", { $0.audiences = [""] }),
                ("description", { $0.description_p = String(repeating: "x", count: 3000) }),
                ("owner", { $0.owner = "\u{7}" }), ("purpose", { $0.purpose = "\u{0}" }),
                ("label", { $0.labels = ["A b": ""] }), ("not_before", { $0.notBefore = .max }),
                ("digest set", { $0.rules.digestSets = ["none"] }), ("any_of", { $0.rules.anyOf = [.init()] }),
                ("kind", { $0.rules.noneOf = [.init()] }),
            ]
            let results = try await server.register(
                faults.map { fault in .example("/x") { fault.1(&$0.details) } })
            for (result, fault) in zip(results, faults) {
                #expect(result.status.code != 0, "\(fault.0)")
                #expect(result.status.message.contains(fault.0), "\(fault.0): \(result.status.message)")
            }
            #expect(try await server.admin.registration.listEntries(.init()).entries.isEmpty)
        }
    }

    @Test("An agent of another make, and one of an earlier version, never get an entry that is narrowed by details")
    func withheld() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let narrowing: [@Sendable (inout Mintmark_V1_Details) -> Void] = [
                { $0.audiences = ["api"] }, { $0.keyType = "ec-p256" }, { $0.perInstanceKeys = true },
                { $0.idTemplate = "{unix:user}" },
                { $0.rules.noneOf = [.with { ($0.type, $0.value) = ("unix", "gid:0") }] },
                { $0.rules.anyOf = [.with { $0.selectors = [.with { ($0.type, $0.value) = ("unix", "gid:1") }] }] },
            ]
            var items = narrowing.enumerated().map { number, change in
                Mintmark_V1_CreateEntriesRequest.Item.example("/narrow/\(number)") {
                    $0.entry.parentID = joined.agentID
                    change(&$0.details)
                }
            }
            items.append(
                .example("/told") {
                    $0.entry.parentID = joined.agentID
                    $0.details.owner = "me"
                    $0.details.class = .service
                })
            for result in try await server.register(items) {
                try #require(result.status.code == 0, "\(result.status.message)")
            }
            let legacy = try await server.node.sync([.init()]).flatMap(\.entries)
            #expect(legacy.map(\.spiffeID.path) == ["/told"])
            #expect(try await server.node.entries.getAuthorizedEntries(.init()).entries.count == 1)
            let earlier = try await server.node.syncTerms([.init()]).flatMap(\.entries)
            #expect(earlier.map(\.entry.spiffeID.path) == ["/told"])
            let current = try await server.node.syncTerms([.with { $0.vocabulary = 1 }]).flatMap(\.entries)
            #expect(current.count == items.count)
            #expect(Set(current.map(\.vocabulary)) == [0, 1])
        }
    }

    @Test("A disabled entry, and one whose time has not begun, are nobody's")
    func notInForce() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let begin = Int64(TestServer.start.timeIntervalSince1970) + 100
            let created = try await server.register([
                .example("/off") {
                    $0.entry.parentID = joined.agentID
                    $0.details.disabled = true
                },
                .example("/later") {
                    $0.entry.parentID = joined.agentID
                    $0.details.notBefore = begin
                },
            ])
            let ids = created.map(\.entry.entry.id)
            #expect(try await server.node.syncTerms([.init()]).flatMap(\.entries).isEmpty)
            #expect(try await server.codes(ids) == [.notFound, .notFound])
            server.clock.advance(by: .seconds(100))
            #expect(try await server.node.syncTerms([.init()]).flatMap(\.entries).map(\.entry.id) == [ids[1]])
            #expect(try await server.codes(ids) == [.notFound, nil])
        }
    }

    @Test("JWT-SVIDs are for allowed audiences alone, byte for byte, and the refusal says which was not")
    func audiences() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let created = try await server.register([
                .example("/a") {
                    $0.entry.parentID = joined.agentID
                    $0.details.audiences = ["api", "db"]
                }
            ])
            let id = try #require(created.first).entry.entry.id
            func ask(_ audience: String...) async throws -> Spire_Api_Types_JWTSVID {
                try await server.node.svids.newJWTSVID(
                    .with {
                        $0.entryID = id
                        $0.audience = audience
                    }
                ).svid
            }
            #expect(try await !ask("db", "api").token.isEmpty)
            for audience in [["other"], ["api", "other"], ["API"], ["api "]] {
                let error = try await #require(throws: RPCError.self) {
                    _ = try await server.node.svids.newJWTSVID(
                        .with {
                            $0.entryID = id
                            $0.audience = audience
                        })
                }
                #expect(error.code == .invalidArgument)
                #expect(error.message.contains("audience '\(audience.last ?? "")' is not among those"))
            }
        }
    }

    @Test("An entry that names a key type gets certificates for no other")
    func keyTypes() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let created = try await server.register(
                ["", "ec-p256", "ec-p384", "rsa-2048"].map { type in
                    .example("/k\(type)") {
                        $0.entry.parentID = joined.agentID
                        $0.details.keyType = type
                    }
                })
            let ids = created.map(\.entry.entry.id)
            let p256 = try SigningRequestMaker.request(signedBy: Certificate.PrivateKey(P256.Signing.PrivateKey()))
            let p384 = try SigningRequestMaker.request(signedBy: Certificate.PrivateKey(P384.Signing.PrivateKey()))
            #expect(try await server.codes(ids, csr: p256) == [nil, nil, .invalidArgument, .invalidArgument])
            #expect(try await server.codes(ids, csr: p384) == [nil, .invalidArgument, nil, .invalidArgument])
        }
    }

    @Test("The end of an entry caps its SVIDs of both kinds")
    func expiryCaps() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let end = Int64(TestServer.start.timeIntervalSince1970) + 77
            let created = try await server.register([
                .example("/a") {
                    $0.entry.parentID = joined.agentID
                    $0.entry.expiresAt = end
                }
            ])
            let id = try #require(created.first).entry.entry.id
            let csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
            let x509 = try await server.node.svids.batchNewX509SVID(
                .with { $0.params = [.with { ($0.entryID, $0.csr) = (id, Data(csr)) }] })
            #expect(x509.results.first?.svid.expiresAt == end)
            let jwt = try await server.node.svids.newJWTSVID(
                .with {
                    $0.entryID = id
                    $0.audience = ["a"]
                })
            #expect(jwt.svid.expiresAt == end)
        }
    }

    @Test("A template is issued through its own call alone, and only what it can become")
    func templates() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let created = try await server.register([
                .example("/agent") {
                    $0.entry.parentID = joined.agentID
                    $0.details.idTemplate = "u-{unix:user}"
                }, .example("/plain") { $0.entry.parentID = joined.agentID },
            ])
            let (templated, plain) = (created[0].entry.entry.id, created[1].entry.entry.id)
            let csr = Data(try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey()))
            #expect(try await server.codes([templated]) == [.permissionDenied])
            try await expectCode(.permissionDenied) {
                _ = try await server.node.svids.newJWTSVID(
                    .with {
                        $0.entryID = templated
                        $0.audience = ["a"]
                    })
            }
            let asked: [(id: String, path: String, code: RPCError.Code?)] = [
                (templated, "/agent/u-ada", nil), (templated, "/agent", .permissionDenied),
                (templated, "/agent/u-", .permissionDenied), (templated, "/agent/u-a/b", .permissionDenied),
                (templated, "/other/u-ada", .permissionDenied), (templated, "/agent/u-..", .permissionDenied),
                (templated, "/agent/../u-ada", .invalidArgument), (plain, "/plain", .permissionDenied),
                (plain, "/plain/x", .permissionDenied), ("none", "/agent/u-ada", .notFound),
            ]
            let response = try await server.node.templated.batchNewX509SVID(
                .with {
                    $0.items = asked.map { row in
                        .with {
                            $0.entryID = row.id
                            $0.csr = csr
                            $0.spiffeID = .example(row.path)
                        }
                    }
                })
            for (result, row) in zip(response.results, asked) {
                #expect(result.status.code == Int32(row.code?.rawValue ?? 0), "\(row): \(result.status.message)")
                if row.code == nil { #expect(result.svid.id.path == row.path) }
            }
            let jwt = try await server.node.templated.newJWTSVID(
                .with {
                    $0.entryID = templated
                    $0.audience = ["a"]
                    $0.spiffeID = .example("/agent/u-bob")
                })
            #expect(jwt.svid.id.path == "/agent/u-bob")
            try await expectCode(.permissionDenied) {
                _ = try await server.node.templated.newJWTSVID(
                    .with {
                        $0.entryID = templated
                        $0.audience = ["a"]
                        $0.spiffeID = .example("/elsewhere")
                    })
            }
            try await expectCode(.permissionDenied) { _ = try await server.admin.templated.newJWTSVID(.init()) }
        }
    }

    @Test("Digest sets live by their own calls, and agents get the digests with the entry")
    func digestSets() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            let other = String(repeating: "b", count: 64)
            _ = try await server.admin.digestSets.create(
                .with {
                    $0.name = "release"
                    $0.sha256 = [Self.digest]
                    $0.graceSeconds = 60
                })
            let created = try await server.register([
                .example("/a") {
                    $0.entry.parentID = joined.agentID
                    $0.details.rules.digestSets = ["release"]
                }
            ])
            #expect(created.first?.status.code == 0)
            let added = try await server.admin.digestSets.addVersion(
                .with {
                    $0.name = "release"
                    $0.sha256 = [other]
                })
            #expect(added.entries == 1)
            let until = Int64(TestServer.start.timeIntervalSince1970) + 60
            #expect(added.versions.map(\.until) == [until, 0])
            let synced = try await server.node.syncTerms([.with { $0.vocabulary = 1 }]).flatMap(\.entries)
            let entry = try #require(synced.first)
            #expect(entry.entry.revisionNumber == 1, "agents sync by it")
            #expect(entry.digestSets.map(\.name) == ["release"])
            #expect(entry.digestSets.first?.digests.map(\.sha256) == [Self.digest, other])
            #expect(entry.digestSets.first?.digests.map(\.until) == [until, 0])
            let sets = server.admin.digestSets
            #expect(try await sets.list(.init()).digestSets == [added])
            #expect(try await sets.get(.with { $0.name = "release" }) == added)
            try await expectCode(.notFound) { _ = try await sets.get(.with { $0.name = "none" }) }
            try await expectCode(.notFound) { _ = try await sets.addVersion(.with { $0.name = "none" }) }
            try await expectCode(.invalidArgument) { _ = try await sets.addVersion(.with { $0.name = "release" }) }
            try await expectCode(.alreadyExists) {
                _ = try await sets.create(.with { ($0.name, $0.sha256) = ("release", [other]) })
            }
            try await expectCode(.invalidArgument) {
                _ = try await sets.create(.with { ($0.name, $0.sha256, $0.keeps) = ("x", [other], .max) })
            }
            try await expectCode(.failedPrecondition) { _ = try await sets.delete(.with { $0.name = "release" }) }
            try await expectCode(.permissionDenied) { _ = try await server.node.digestSets.list(.init()) }
        }
    }
}

extension TestServer {
    /// What issuing for each entry comes to; nil where an SVID came.
    fileprivate func codes(_ ids: [String], csr: [UInt8]? = nil) async throws -> [RPCError.Code?] {
        let csr = try csr ?? SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
        let response = try await node.svids.batchNewX509SVID(
            .with { $0.params = ids.map { id in .with { ($0.entryID, $0.csr) = (id, Data(csr)) } } })
        return response.results.map { result in
            Status.Code(rawValue: Int(result.status.code)).flatMap { RPCError.Code($0) }
        }
    }
}
