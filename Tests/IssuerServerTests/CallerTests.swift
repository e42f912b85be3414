import Crypto
import Foundation
import GRPCCore
import GRPCProtobuf
import IssuerAPIProtos
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing

@Suite("Who may call what")
struct CallerTests {
    /// A call that is well formed enough to be judged by its caller alone.
    struct Call: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let run: @Sendable (Clients) async throws -> Void

        init(_ name: String, _ run: @escaping @Sendable (Clients) async throws -> Void) {
            (testDescription, self.run) = (name, run)
        }
    }

    static let adminCalls = [
        Call("CountEntries") { _ = try await $0.entries.countEntries(.init()) },
        Call("ListEntries") { _ = try await $0.entries.listEntries(.init()) },
        Call("GetEntry") { _ = try await $0.entries.getEntry(.with { $0.id = "none" }) },
        Call("BatchCreateEntry") {
            _ = try await $0.entries.batchCreateEntry(.with { $0.entries = [.example("/intruder")] })
        },
        Call("BatchUpdateEntry") { _ = try await $0.entries.batchUpdateEntry(.with { $0.entries = [.example("/x")] }) },
        Call("BatchDeleteEntry") { _ = try await $0.entries.batchDeleteEntry(.with { $0.ids = ["none"] }) },
        Call("CountAgents") { _ = try await $0.agents.countAgents(.init()) },
        Call("ListAgents") { _ = try await $0.agents.listAgents(.init()) },
        Call("GetAgent") { _ = try await $0.agents.getAgent(.with { $0.id = .example("/spire/agent/x") }) },
        Call("DeleteAgent") { _ = try await $0.agents.deleteAgent(.with { $0.id = .example("/spire/agent/x") }) },
        Call("BanAgent") { _ = try await $0.agents.banAgent(.with { $0.id = .example("/spire/agent/x") }) },
        Call("CreateJoinToken") { _ = try await $0.agents.createJoinToken(.with { $0.ttl = 60 }) },
        Call("MintX509SVID") { clients in
            let csr = try SigningRequestMaker.request(
                signedBy: P256.Signing.PrivateKey(), for: SPIFFEID("spiffe://example.org/minted"))
            _ = try await clients.svids.mintX509SVID(.with { $0.csr = Data(csr) })
        },
        Call("MintJWTSVID") {
            _ = try await $0.svids.mintJWTSVID(
                .with {
                    $0.id = .example("/minted")
                    $0.audience = ["db"]
                })
        },
        Call("AwaitEntry") { _ = try await $0.propagation.awaitEntry(.with { $0.entryID = "none" }) },
    ]

    static let agentCalls = [
        Call("GetAuthorizedEntries") { _ = try await $0.entries.getAuthorizedEntries(.init()) },
        Call("SyncAuthorizedEntries") { _ = try await $0.sync([.init()]) },
        Call("RenewAgent") { clients in
            let csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
            _ = try await clients.agents.renewAgent(.with { $0.params = .with { $0.csr = Data(csr) } })
        },
        Call("PostStatus") { _ = try await $0.agents.postStatus(.with { $0.agentVersion = "1" }) },
        Call("BatchNewX509SVID") {
            _ = try await $0.svids.batchNewX509SVID(.with { $0.params = [.with { $0.entryID = "none" }] })
        },
        Call("NewJWTSVID") {
            _ = try await $0.svids.newJWTSVID(
                .with {
                    $0.entryID = "none"
                    $0.audience = ["db"]
                })
        },
        Call("Follow") { clients in
            try await clients.propagation.follow { _ in
            } onResponse: { response in
                for try await _ in response.messages {}
            }
        },
    ]

    static let openCalls = [Call("GetBundle") { _ = try await $0.bundle.getBundle(.init()) }]

    @Test("Admins on the local socket may make every admin call")
    func localAdmin() async throws {
        try await TestServer.run { server in
            for call in Self.adminCalls {
                let code = try await code { try await call.run(server.admin) }
                #expect([nil, .notFound].contains(code), "\(call.testDescription): \(String(describing: code))")
            }
        }
    }

    @Test("Nobody else may make an admin call: not a stranger, not an agent, not a banned agent")
    func notAdmin() async throws {
        try await TestServer.run { server in
            for call in Self.adminCalls {
                try await expectCode(.permissionDenied, "\(call.testDescription)") { try await call.run(server.node) }
            }
            let joined = try await server.joinAndPresent()
            for call in Self.adminCalls {
                try await expectCode(.permissionDenied, "\(call.testDescription)") { try await call.run(server.node) }
            }
            _ = try await server.admin.agents.banAgent(.with { $0.id = joined.agentID })
            for call in Self.adminCalls {
                try await expectCode(.permissionDenied, "\(call.testDescription)") { try await call.run(server.node) }
            }
            #expect(try await server.admin.entries.countEntries(.init()).count == 0)
        }
    }

    @Test("An agent may make every agent call")
    func agent() async throws {
        try await TestServer.run { server in
            _ = try await server.joinAndPresent()
            for call in Self.agentCalls {
                let code = try await code { try await call.run(server.node) }
                #expect([nil, .notFound].contains(code), "\(call.testDescription): \(String(describing: code))")
            }
        }
    }

    @Test("Strangers and admins are told that they are no agent, for the agent to act upon")
    func notAgent() async throws {
        try await TestServer.run { server in
            for call in Self.agentCalls {
                try await expectReason(.agentNotAttested, "\(call.testDescription)") { try await call.run(server.node) }
                try await expectReason(.agentNotAttested, "\(call.testDescription)") {
                    try await call.run(server.admin)
                }
            }
        }
    }

    @Test("A banned agent is told so at every call")
    func banned() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            _ = try await server.admin.agents.banAgent(.with { $0.id = joined.agentID })
            for call in Self.agentCalls {
                try await expectReason(.agentBanned, "\(call.testDescription)") { try await call.run(server.node) }
            }
        }
    }

    @Test("A deleted agent is told that it is not attested")
    func deleted() async throws {
        try await TestServer.run { server in
            let joined = try await server.joinAndPresent()
            _ = try await server.admin.agents.deleteAgent(.with { $0.id = joined.agentID })
            for call in Self.agentCalls {
                try await expectReason(.agentNotAttested, "\(call.testDescription)") { try await call.run(server.node) }
            }
        }
    }

    @Test("An agent whose SVID has ended is told so")
    func expired() async throws {
        try await TestServer.run { server in
            _ = try await server.joinAndPresent()
            server.clock.advance(by: .seconds(10_800))
            for call in Self.agentCalls {
                try await expectReason(.agentExpired, "\(call.testDescription)") { try await call.run(server.node) }
            }
        }
    }

    @Test("A workload with an SVID of its own is no agent")
    func workload() async throws {
        try await TestServer.run { server in
            let csr = try SigningRequestMaker.request(
                signedBy: P256.Signing.PrivateKey(), for: SPIFFEID("spiffe://example.org/web"))
            let svid = try await server.admin.svids.mintX509SVID(.with { $0.csr = Data(csr) }).svid
            let id = try SPIFFEID("spiffe://example.org/web")
            try await server.present(Joined(id: id, chain: svid.certChain, canReattest: false))
            for call in Self.agentCalls {
                try await expectReason(.agentNotAttested, "\(call.testDescription)") { try await call.run(server.node) }
            }
        }
    }

    @Test("The bundle is for everyone", arguments: openCalls)
    func bundle(call: Call) async throws {
        try await TestServer.run { server in
            try await expectCode(nil) { try await call.run(server.admin) }
            try await expectCode(nil) { try await call.run(server.node) }
        }
    }

    @Test("A refusal tells no more than the agent needs: no path, no SQL, no key")
    func refusalTexts() async throws {
        try await TestServer.run { server in
            for call in Self.agentCalls + Self.adminCalls {
                do { try await call.run(server.node) } catch let error as RPCError {
                    #expect(!error.message.isEmpty)
                    for word in ["/tmp", "SELECT", "store.db", "keys", "x509-"] {
                        #expect(!error.message.contains(word), "\(call.testDescription)")
                    }
                }
            }
        }
    }

    private func expectReason(
        _ expected: Spire_Api_Types_PermissionDeniedDetails.Reason, _ comment: Comment,
        of call: () async throws -> Void
    ) async throws {
        let found = try await reason(of: call)
        #expect(found == expected, comment)
    }

    /// The reason in the details of a permission denied.
    private func reason(
        of call: () async throws -> Void
    ) async throws -> Spire_Api_Types_PermissionDeniedDetails.Reason? {
        do {
            try await call()
            return nil
        } catch let error as RPCError {
            guard error.code == .permissionDenied, let status = try error.unpackGoogleRPCStatus() else { return nil }
            return try status.details.compactMap(\.any).map {
                try Spire_Api_Types_PermissionDeniedDetails(unpackingAny: $0).reason
            }.first
        }
    }
}
