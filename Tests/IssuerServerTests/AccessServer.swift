import Bootstrap
import Crypto
import Foundation
import GRPCCore
import GRPCInProcessTransport
import GRPCNIOTransportHTTP2Posix
import IssuerAPIProtos
import IssuerDomain
import IssuerServer
import Platform
import SPIFFE
import ServiceLifecycle
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

/// A whole issuer with access settings of its own, called with bytes: any method, by any name.
struct AccessServer: Sendable {
    let local: GRPCClient<HTTP2ClientTransport.Posix>
    /// Whoever `peer` presents.
    let node: GRPCClient<InProcessTransport.Client>
    let peer: EmbeddedPeer
    let server: TestServer
    /// What was minted while nobody but the owner had any power, by path.
    private let minted: [String: Joined]

    /// Runs a body against a new issuer.
    ///
    /// - Parameters:
    ///   - settings: Who may do what.
    ///   - more: Further services.
    ///   - paths: SVIDs to mint before the settings hold.
    ///   - body: What to do.
    /// - Throws: What the body throws, and what keeps an issuer from running.
    static func run(
        _ settings: AccessSettings, more: [any RegistrableRPCService] = [], minting paths: [String] = [],
        _ body: @Sendable (AccessServer) async throws -> Void
    ) async throws {
        try await TemporaryFolder.use { folder in
            let (clock, logs) = (ManualClock(TestServer.start), LogCollector())
            let early = Mutex<[String: Joined]>([:])
            if !paths.isEmpty {
                try await TestServer.run(in: folder, clock: clock) { server in
                    for path in paths {
                        let minted = try await mint(path, by: server.admin)
                        early.withLock { $0[path] = minted }
                    }
                }
            }
            let issuer = try await Issuer(
                IssuerConfiguration(
                    trustDomain: try TrustDomain("example.org"), databasePath: "\(folder)/store.db",
                    keyFolder: "\(folder)/keys", serverIDPath: "\(folder)/server-id",
                    adminSocket: try UnixSocketPath("\(folder)/admin.sock"),
                    access: settings),
                clock: clock, files: LocalFileSystem(), logger: logs.logger())
            defer { issuer.close() }
            let (inProcess, peer) = (InProcessTransport(), EmbeddedPeer())
            let services = ServiceGroup(
                configuration: .init(
                    services: issuer.services(embedded: (inProcess.server, peer), more: more),
                    logger: logs.logger("services")))
            let transport = try HTTP2ClientTransport.Posix(
                target: .unixDomainSocket(path: "\(folder)/admin.sock"), transportSecurity: .plaintext)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await services.run() }
                try #require(await issuer.waitUntilListening())
                try await withGRPCClient(transport: transport) { local in
                    try await withGRPCClient(transport: inProcess.client) { node in
                        _ = try await Clients(local).bundle.getBundle(.init())
                        let server = TestServer(
                            admin: Clients(local), node: Clients(node), peer: peer, issuer: issuer, clock: clock,
                            logs: logs)
                        try await body(
                            AccessServer(
                                local: local, node: node, peer: peer, server: server, minted: early.withLock { $0 }))
                    }
                }
                await services.triggerGracefulShutdown()
                try await group.waitForAll()
            }
        }
    }

    /// Makes the calls of `node` come from the holder of an SVID that an admin mints, or has minted.
    func present(_ path: String) async throws {
        if let known = minted[path] { return try await server.present(known) }
        try await server.present(Self.mint(path, by: server.admin))
    }

    private static func mint(_ path: String, by admin: Clients) async throws -> Joined {
        let id = try SPIFFEID("spiffe://example.org\(path)")
        let csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey(), for: id)
        let svid = try await admin.svids.mintX509SVID(.with { $0.csr = Data(csr) }).svid
        return Joined(id: id, chain: svid.certChain, canReattest: false)
    }
}

/// Bytes as they are.
struct Verbatim: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }

    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] {
        bytes.withUnsafeBytes { Array($0) }
    }
}

/// Makes a call of any method with one message, and says how it ended; nil for success.
func ending(
    of method: String, by client: GRPCClient<some ClientTransport>, message: [UInt8] = [],
    metadata: Metadata = [:], within limit: Duration
) async throws -> RPCError? {
    let parts = method.split(separator: "/")
    let descriptor = MethodDescriptor(fullyQualifiedService: String(parts[0]), method: String(parts[1]))
    var options = CallOptions.defaults
    options.timeout = limit
    do {
        try await client.bidirectionalStreaming(
            request: StreamingClientRequest(metadata: metadata) { try await $0.write(message) },
            descriptor: descriptor, serializer: Verbatim(), deserializer: Verbatim(), options: options
        ) { response in
            for try await _ in response.messages {}
        }
        return nil
    } catch let error as RPCError { return error }
}
