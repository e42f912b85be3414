import Bootstrap
import Crypto
import Foundation
import GRPCCore
import GRPCInProcessTransport
import GRPCNIOTransportHTTP2Posix
import IssuerAPIProtos
import IssuerDomain
import IssuerServer
import Logging
import NodeAttestation
import Platform
import SPIFFE
import ServiceLifecycle
import SwiftProtobuf
import TestSupport
import Testing
import X509

/// A whole issuer on a real admin socket and a real database, with the agents' side in this process.
struct TestServer: Sendable {
    /// A process on this machine that may open the admin socket.
    let admin: Clients
    /// Whoever ``peer`` presents.
    let node: Clients
    let peer: EmbeddedPeer
    let issuer: Issuer
    let clock: ManualClock
    let logs: LogCollector

    static let start = Date(timeIntervalSince1970: 1_800_000_000)

    /// Runs a body against a new issuer.
    static func run(
        legacyAgents: LegacyAgentPolicy = .serve, assurance: AssuranceDefaults = .init(),
        nodeAttestors: [any NodeAttestor] = [], patience: Duration? = nil,
        _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        try await TemporaryFolder.use { folder in
            let clock = ManualClock(start)
            try await run(
                in: folder, clock: clock, legacyAgents: legacyAgents, assurance: assurance,
                nodeAttestors: nodeAttestors, patience: patience, body)
        }
    }

    /// Runs a body against an issuer that opens what a folder holds.
    static func run(
        in folder: String, clock: ManualClock, legacyAgents: LegacyAgentPolicy = .serve,
        assurance: AssuranceDefaults = .init(), nodeAttestors: [any NodeAttestor] = [], patience: Duration? = nil,
        upstream: UpstreamSettings? = nil, _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        let logs = LogCollector()
        let issuer = try await open(
            folder, clock: clock, legacyAgents: legacyAgents, assurance: assurance, nodeAttestors: nodeAttestors,
            patience: patience, upstream: upstream, logger: logs.logger())
        defer { issuer.close() }
        let (inProcess, peer) = (InProcessTransport(), EmbeddedPeer())
        let services = ServiceGroup(
            configuration: .init(
                services: issuer.services(embedded: (inProcess.server, peer)), logger: logs.logger("services")))
        let transport = try HTTP2ClientTransport.Posix(
            target: .unixDomainSocket(path: "\(folder)/admin.sock"), transportSecurity: .plaintext)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            try #require(await issuer.waitUntilListening())
            try await withGRPCClient(transport: transport) { admin in
                try await withGRPCClient(transport: inProcess.client) { node in
                    // Connects: a connection that comes while the server ends is another test's business.
                    _ = try await Clients(admin).bundle.getBundle(.init())
                    try await body(
                        TestServer(
                            admin: Clients(admin), node: Clients(node), peer: peer, issuer: issuer, clock: clock,
                            logs: logs))
                }
            }
            await services.triggerGracefulShutdown()
            try await group.waitForAll()
        }
    }

    /// Opens an issuer whose files are all in one folder.
    static func open(
        _ folder: String, trustDomain: String = "example.org", clock: ManualClock,
        legacyAgents: LegacyAgentPolicy = .serve, assurance: AssuranceDefaults = .init(),
        nodeAttestors: [any NodeAttestor] = [], patience: Duration? = nil, upstream: UpstreamSettings? = nil,
        logger: Logger
    ) async throws -> Issuer {
        var configuration = IssuerConfiguration(
            trustDomain: try TrustDomain(trustDomain), databasePath: "\(folder)/store.db",
            keyFolder: "\(folder)/keys", serverIDPath: "\(folder)/server-id",
            adminSocket: try UnixSocketPath("\(folder)/admin.sock"),
            assurance: assurance, legacyAgents: legacyAgents)
        configuration.upstream = upstream
        configuration.nodeAttestors = nodeAttestors.map { attestor in NodeAttestorPlan(attestor.type) { _ in attestor }
        }
        if let patience { configuration.attestationPatience = patience }
        return try await Issuer(configuration, clock: clock, files: LocalFileSystem(), logger: logger)
    }

    /// Lets a node in by a new token, without presenting it.
    func join(alias: SPIFFEID? = nil) async throws -> Joined {
        let token = try await admin.agents.createJoinToken(
            .with {
                $0.ttl = 600
                if let alias { $0.agentID = alias.onWire }
            })
        return try await node.attest("join_token", payload: Data(token.value.utf8))
    }

    /// Makes the calls of ``node`` come from the holder of an SVID, verified as a server would.
    func present(_ joined: Joined) async throws {
        let certificates = try joined.chain.map { try DERConcatenation.certificate(in: Array($0)[...]) }
        let bundle = issuer.bundle.x509
        peer.present(
            try X509SVIDVerification.verify(certificates, at: clock.now) {
                $0 == bundle.trustDomain ? bundle : nil
            })
    }

    /// Lets a node in and presents it.
    func joinAndPresent() async throws -> Joined {
        let joined = try await join()
        try await present(joined)
        return joined
    }

    /// Stores a bundle of another trust domain, so that entries may federate with it.
    func federate(with trustDomain: String) async throws {
        let results = try await admin.bundle.batchSetFederatedBundle(
            .with { $0.bundle = [.with { $0.trustDomain = trustDomain }] }
        ).results
        #expect(results.map(\.status.code) == [0])
    }

    /// Creates entries, all of which must be sound.
    @discardableResult
    func create(_ entries: [Spire_Api_Types_Entry]) async throws -> [Spire_Api_Types_Entry] {
        let results = try await admin.entries.batchCreateEntry(.with { $0.entries = entries }).results
        for result in results { try #require(result.status.code == 0, "\(result.status.message)") }
        return results.map(\.entry)
    }
}

/// What a node has once it is in.
struct Joined: Sendable {
    let id: SPIFFEID
    let chain: [Data]
    let canReattest: Bool

    var agentID: Spire_Api_Types_SPIFFEID { id.onWire }
}

/// Every service, as one caller sees it.
struct Clients: Sendable {
    let entries: any Spire_Api_Server_Entry_V1_Entry.ClientProtocol
    let agents: any Spire_Api_Server_Agent_V1_Agent.ClientProtocol
    let svids: any Spire_Api_Server_Svid_V1_SVID.ClientProtocol
    let bundle: any Spire_Api_Server_Bundle_V1_Bundle.ClientProtocol
    let propagation: any Mintmark_V1_Propagation.ClientProtocol
    let incidents: any Mintmark_V1_Incidents.ClientProtocol
    let registration: any Mintmark_V1_Registration.ClientProtocol
    let authorized: any Mintmark_V1_AuthorizedEntries.ClientProtocol
    let nodes: any Mintmark_V1_Nodes.ClientProtocol
    let localAuthority: any Spire_Api_Server_Localauthority_V1_LocalAuthority.ClientProtocol
    let declarations: any Mintmark_V1_Declarations.ClientProtocol
    let digestSets: any Mintmark_V1_DigestSets.ClientProtocol
    let templated: any Mintmark_V1_TemplatedSVIDs.ClientProtocol
    let debug: any Spire_Api_Server_Debug_V1_Debug.ClientProtocol

    init(_ client: GRPCClient<some ClientTransport>) {
        entries = Spire_Api_Server_Entry_V1_Entry.Client(wrapping: client)
        agents = Spire_Api_Server_Agent_V1_Agent.Client(wrapping: client)
        svids = Spire_Api_Server_Svid_V1_SVID.Client(wrapping: client)
        bundle = Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client)
        propagation = Mintmark_V1_Propagation.Client(wrapping: client)
        incidents = Mintmark_V1_Incidents.Client(wrapping: client)
        registration = Mintmark_V1_Registration.Client(wrapping: client)
        authorized = Mintmark_V1_AuthorizedEntries.Client(wrapping: client)
        nodes = Mintmark_V1_Nodes.Client(wrapping: client)
        localAuthority = Spire_Api_Server_Localauthority_V1_LocalAuthority.Client(wrapping: client)
        declarations = Mintmark_V1_Declarations.Client(wrapping: client)
        digestSets = Mintmark_V1_DigestSets.Client(wrapping: client)
        templated = Mintmark_V1_TemplatedSVIDs.Client(wrapping: client)
        debug = Spire_Api_Server_Debug_V1_Debug.Client(wrapping: client)
    }

    /// Asks to be let in.
    func attest(_ type: String, payload: Data, csr: [UInt8]? = nil) async throws -> Joined {
        let request = try csr ?? SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
        let opening = Spire_Api_Server_Agent_V1_AttestAgentRequest.with {
            $0.params = .with {
                $0.data = .with {
                    $0.type = type
                    $0.payload = payload
                }
                $0.params = .with { $0.csr = Data(request) }
            }
        }
        return try await attest(opening)
    }

    func attest(_ opening: Spire_Api_Server_Agent_V1_AttestAgentRequest?) async throws -> Joined {
        try await agents.attestAgent { writer in
            if let opening { try await writer.write(opening) }
        } onResponse: { response in
            var results: [Spire_Api_Server_Agent_V1_AttestAgentResponse.Result] = []
            for try await message in response.messages {
                if case .result(let result)? = message.step { results.append(result) }
            }
            try #require(results.count == 1)
            let svid = results[0].svid
            let id = try SPIFFEID(trustDomain: TrustDomain(svid.id.trustDomain), path: svid.id.path)
            return Joined(id: id, chain: svid.certChain, canReattest: results[0].reattestable)
        }
    }

    /// Sends requests one after another and collects the answers to all of them.
    func syncTerms(_ requests: [Mintmark_V1_SyncRequest]) async throws -> [Mintmark_V1_SyncResponse] {
        try await authorized.sync { writer in
            for request in requests { try await writer.write(request) }
        } onResponse: { response in
            try await response.messages.reduce(into: []) { $0.append($1) }
        }
    }

    /// The same through the public API.
    func sync(
        _ requests: [Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesRequest]
    ) async throws -> [Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesResponse] {
        try await entries.syncAuthorizedEntries { writer in
            for request in requests { try await writer.write(request) }
        } onResponse: { response in
            try await response.messages.reduce(into: []) { $0.append($1) }
        }
    }
}

extension SPIFFEID {
    /// The ID as the issuer's API writes it.
    var onWire: Spire_Api_Types_SPIFFEID {
        .with {
            $0.trustDomain = trustDomain.name
            $0.path = path
        }
    }
}

extension Spire_Api_Types_SPIFFEID {
    static func example(_ path: String) -> Spire_Api_Types_SPIFFEID {
        .with {
            $0.trustDomain = "example.org"
            $0.path = path
        }
    }
}

extension Spire_Api_Types_Entry {
    /// An entry that breaks no rule.
    static func example(
        _ path: String, parent: Spire_Api_Types_SPIFFEID = .example("/spire/agent/one"),
        selectors: [String] = ["uid:1000"]
    ) -> Spire_Api_Types_Entry {
        .with {
            $0.spiffeID = .example(path)
            $0.parentID = parent
            $0.selectors = selectors.map { value in
                .with {
                    $0.type = "unix"
                    $0.value = value
                }
            }
        }
    }
}

/// The code that a call ends with; nil when it succeeds.
func code(of call: () async throws -> Void) async throws -> RPCError.Code? {
    do {
        try await call()
        return nil
    } catch let error as RPCError { return error.code }
}

/// Expects a call to end with a code; nil stands for success.
func expectCode(
    _ expected: RPCError.Code?, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation,
    of call: () async throws -> Void
) async throws {
    let found = try await code(of: call)
    #expect(found == expected, comment, sourceLocation: sourceLocation)
}
