import Crypto
import Foundation
import GRPCCore
import GRPCProtobuf
import IssuerAPIProtos
import IssuerDomain
import IssuerServer
import SPIFFE
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

@Suite("Calls of which two people must agree, over the wire")
struct TwoPersonTests {
    private typealias Authority = Spire_Api_Server_Localauthority_V1_LocalAuthority
    private typealias Request = Spire_Api_Server_Localauthority_V1_TaintX509AuthorityRequest
    private typealias Response = Spire_Api_Server_Localauthority_V1_TaintX509AuthorityResponse

    /// Notes whom it was asked to taint, and does nothing.
    private final class RecordingAuthority: RegistrableRPCService {
        let tainted = Mutex<[String]>([])

        func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
            router.registerHandler(
                forMethod: Authority.Method.TaintX509Authority.descriptor,
                deserializer: ProtobufDeserializer<Request>(), serializer: ProtobufSerializer<Response>()
            ) { request, _ in
                let message = try await ServerRequest(stream: request).message
                self.tainted.withLock { $0.append(message.authorityID) }
                return StreamingServerResponse(single: ServerResponse(message: Response()))
            }
        }
    }

    private static func taint(_ id: String, by client: GRPCClient<some ClientTransport>) async throws -> RPCError.Code?
    {
        let request = Request.with { $0.authorityID = id }
        return try await ending(
            of: "\(Authority.Method.TaintX509Authority.descriptor)", by: client, message: request.serializedBytes(),
            within: .seconds(60))?.code
    }

    private static func settings(lifetime: Duration?) throws -> AccessSettings {
        AccessSettings(
            grants: [
                Grant(
                    name: "keys", role: .authorityOperator,
                    holders: [.spiffeID(try SPIFFEID("spiffe://example.org/keys"))])
            ], approvalLifetime: lifetime)
    }

    @Test("Taint waits for a second person, who makes the same call; then it is done, once")
    func second() async throws {
        let authority = RecordingAuthority()
        try await AccessServer.run(
            try Self.settings(lifetime: .seconds(600)), more: [authority], minting: ["/keys"]
        ) { access in
            try await access.present("/keys")
            #expect(try await Self.taint("a", by: access.local) == .failedPrecondition)
            #expect(try await Self.taint("a", by: access.local) == .failedPrecondition)
            #expect(try await Self.taint("b", by: access.node) == .failedPrecondition)
            #expect(authority.tainted.withLock { $0 }.isEmpty)
            #expect(try await Self.taint("a", by: access.node) == nil)
            #expect(authority.tainted.withLock { $0 } == ["a"])
            #expect(try await Self.taint("a", by: access.node) == .failedPrecondition)
        }
    }

    @Test("Whoever asked goes ahead once another agreed; nobody agrees with themselves, and a request ends")
    func approval() async throws {
        let authority = RecordingAuthority()
        try await AccessServer.run(
            try Self.settings(lifetime: .seconds(600)), more: [authority], minting: ["/keys"]
        ) { access in
            try await access.present("/keys")
            let (mine, theirs) = (
                Mintmark_V1_Approvals.Client(wrapping: access.local),
                Mintmark_V1_Approvals.Client(wrapping: access.node)
            )
            #expect(try await Self.taint("a", by: access.local) == .failedPrecondition)
            let waiting = try await theirs.list(.init()).approvals
            let request = try #require(waiting.first)
            #expect(request.request == "authority_id: \"a\"")
            #expect(request.requester.hasPrefix("uid:"))
            try await expectCode(.permissionDenied) { _ = try await mine.approve(.with { $0.id = request.id }) }
            #expect(try await theirs.approve(.with { $0.id = request.id }).approver == "spiffe://example.org/keys")
            #expect(try await Self.taint("a", by: access.local) == nil)

            #expect(try await Self.taint("b", by: access.local) == .failedPrecondition)
            access.server.clock.advance(by: .seconds(600))
            #expect(try await theirs.list(.init()).approvals.isEmpty)
            #expect(try await Self.taint("c", by: access.local) == .failedPrecondition)
            let last = try #require(try await theirs.list(.init()).approvals.first)
            _ = try await theirs.deny(.with { $0.id = last.id })
            try await expectCode(.notFound) { _ = try await theirs.deny(.with { $0.id = last.id }) }
            #expect(authority.tainted.withLock { $0 } == ["a"])
        }
    }

    @Test("What gives power is stored when two people want it, and not by one, whichever way it is asked for")
    func power() async throws {
        try await AccessServer.run(try Self.settings(lifetime: .seconds(600)), minting: ["/keys"]) { access in
            try await access.present("/keys")
            let approvals = Mintmark_V1_Approvals.Client(wrapping: access.node)
            let admin = access.server.admin
            var boss = Spire_Api_Types_Entry.example("/boss")
            boss.admin = true
            let request = Spire_Api_Server_Entry_V1_BatchCreateEntryRequest.with { [boss] in $0.entries = [boss] }
            try await expectCode(.failedPrecondition) { _ = try await admin.entries.batchCreateEntry(request) }
            try await expectCode(.failedPrecondition) {
                _ = try await admin.registration.createEntries(
                    .with { $0.items = [.with { [boss] in $0.entry = boss }] })
            }
            try await expectCode(.failedPrecondition, "an identity that holds a role") {
                _ = try await admin.entries.batchCreateEntry(.with { $0.entries = [.example("/keys")] })
            }
            #expect(try await admin.entries.countEntries(.init()).count == 0)
            let waiting = try await approvals.list(.init()).approvals
            #expect(waiting.count == 3)
            let asked = try #require(
                waiting.first { $0.request.contains("/boss") && $0.method.contains("BatchCreate") })
            _ = try await approvals.approve(.with { $0.id = asked.id })
            #expect(try await admin.entries.batchCreateEntry(request).results.map(\.status.code) == [0])
            // What gives nobody power is one person's business still.
            #expect(
                try await admin.entries.batchCreateEntry(.with { $0.entries = [.example("/web")] }).results
                    .map(\.status.code) == [0])
            let stored = try #require(try await admin.entries.listEntries(.init()).entries.first { $0.admin })
            try await expectCode(.failedPrecondition, "other selectors of an admin's entry") {
                _ = try await admin.entries.batchUpdateEntry(
                    .with {
                        $0.entries = [
                            .with {
                                $0.id = stored.id
                                $0.selectors = Spire_Api_Types_Entry.example("/x", selectors: ["uid:1"]).selectors
                            }
                        ]
                        $0.inputMask.selectors = true
                    })
            }
            for path in ["/boss", "/keys"] {
                try await expectCode(.permissionDenied, "minted \(path)") {
                    let csr = try SigningRequestMaker.request(
                        signedBy: P256.Signing.PrivateKey(), for: SPIFFEID("spiffe://example.org\(path)"))
                    _ = try await admin.svids.mintX509SVID(.with { $0.csr = Data(csr) })
                }
                try await expectCode(.permissionDenied, "minted \(path)") {
                    _ = try await admin.svids.mintJWTSVID(
                        .with {
                            $0.id = .example(path)
                            $0.audience = ["a"]
                        })
                }
            }
        }
    }

    @Test("Which programs a digest set lets have power is for two people as well, and only while it does")
    func digestSets() async throws {
        try await AccessServer.run(try Self.settings(lifetime: .seconds(600)), minting: ["/keys"]) { access in
            try await access.present("/keys")
            let approvals = Mintmark_V1_Approvals.Client(wrapping: access.node)
            let admin = access.server.admin
            func digests(_ digit: String) -> [String] { [String(repeating: digit, count: 64)] }
            for name in ["boss", "web"] {
                _ = try await admin.digestSets.create(.with { ($0.name, $0.sha256) = (name, digests("a")) })
            }
            let items: [Mintmark_V1_CreateEntriesRequest.Item] = ["boss", "web"].map { name in
                .with {
                    $0.entry = .example("/\(name)")
                    $0.entry.admin = name == "boss"
                    $0.details.rules.digestSets = [name]
                }
            }
            let request = Mintmark_V1_CreateEntriesRequest.with { $0.items = items }
            try await expectCode(.failedPrecondition) { _ = try await admin.registration.createEntries(request) }
            let first = try #require(try await approvals.list(.init()).approvals.first)
            _ = try await approvals.approve(.with { $0.id = first.id })
            let stored = try await admin.registration.createEntries(request).results
            #expect(stored.map(\.status.code) == [0, 0], "\(stored.map(\.status.message))")

            let change = Mintmark_V1_AddDigestSetVersionRequest.with { ($0.name, $0.sha256) = ("boss", digests("b")) }
            try await expectCode(.failedPrecondition) { _ = try await admin.digestSets.addVersion(change) }
            #expect(try await admin.digestSets.get(.with { $0.name = "boss" }).versions.count == 1)
            let web = Mintmark_V1_AddDigestSetVersionRequest.with { ($0.name, $0.sha256) = ("web", digests("b")) }
            #expect(try await admin.digestSets.addVersion(web).versions.count == 2, "one person's business")
            let second = try #require(try await approvals.list(.init()).approvals.first)
            #expect(second.method.hasSuffix("DigestSets/AddVersion") && second.request.contains("boss"))
            _ = try await approvals.approve(.with { $0.id = second.id })
            #expect(try await admin.digestSets.addVersion(change).versions.count == 2)

            let boss = try #require(stored.first).entry.entry.id
            let deleted = try await admin.entries.batchDeleteEntry(.with { $0.ids = [boss] })
            #expect(deleted.results.map(\.status.code) == [0])
            let last = Mintmark_V1_AddDigestSetVersionRequest.with { ($0.name, $0.sha256) = ("boss", digests("c")) }
            #expect(try await admin.digestSets.addVersion(last).versions.count >= 2, "it gives nobody power any more")
        }
    }

    @Test("Unless it is configured, one person is enough")
    func one() async throws {
        let authority = RecordingAuthority()
        try await AccessServer.run(try Self.settings(lifetime: nil), more: [authority]) { access in
            let code = try await Self.taint("a", by: access.local)
            #expect(code == nil)
            #expect(authority.tainted.withLock { $0 } == ["a"])
        }
    }
}
