import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import SPIFFE
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing
import WorkloadAPIProtos
import WorkloadIdentity
import WorkloadIdentityGRPC

/// An endpoint that signs whatever it is asked for, and holds one trust domain.
struct MintingAgent: WorkloadSpiffeWorkloadAPI.SimpleServiceProtocol {
    let mint: TokenMint
    let asked = Counter()

    /// Counts, whoever holds it.
    final class Counter: Sendable {
        private let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
        func increase() { count.withLock { $0 += 1 } }
    }

    /// Runs a body with an endpoint of its own.
    func run(_ body: (SourceOptions) async throws -> Void) async throws {
        try await TemporaryFolder.use { folder in
            let transport = HTTP2ServerTransport.Posix(
                address: .unixDomainSocket(path: "\(folder)/w.sock"), transportSecurity: .plaintext)
            try await withGRPCServer(transport: transport, services: [self]) { _ in
                _ = try await transport.listeningAddress
                try await body(SourceOptions(endpoint: try WorkloadEndpoint("unix://\(folder)/w.sock")))
            }
        }
    }

    func fetchJWTSVID(
        request: WorkloadJWTSVIDRequest, context: ServerContext
    ) async throws -> WorkloadJWTSVIDResponse {
        asked.increase()
        return try .with { response in
            response.svids = [
                try .with {
                    $0.spiffeID = "spiffe://example.org/token"
                    $0.svid = try mint.token(audience: request.audience.first ?? "")
                }
            ]
        }
    }

    func fetchJWTBundles(
        request: WorkloadJWTBundlesRequest, response: RPCWriter<WorkloadJWTBundlesResponse>, context: ServerContext
    ) async throws {
        let bundle = try mint.bundle()
        try await response.write(.with { $0.bundles = ["spiffe://example.org": Data(bundle.jwkSetJSON().utf8)] })
        try await context.cancellation.cancelled
    }

    func fetchX509Bundles(
        request: WorkloadX509BundlesRequest, response: RPCWriter<WorkloadX509BundlesResponse>, context: ServerContext
    ) async throws {
        let bundle = try Realm().ca.bundle
        try await response.write(
            .with {
                $0.bundles = ["spiffe://example.org": Data(bundle.authorities.flatMap { (try? $0.derBytes()) ?? [] })]
            })
        try await context.cancellation.cancelled
    }

    func fetchX509SVID(
        request: WorkloadX509SVIDRequest, response: RPCWriter<WorkloadX509SVIDResponse>, context: ServerContext
    ) async throws { throw RPCError(code: .unimplemented, message: "not here") }

    func validateJWTSVID(
        request: WorkloadValidateJWTSVIDRequest, context: ServerContext
    ) async throws -> WorkloadValidateJWTSVIDResponse { throw RPCError(code: .unimplemented, message: "not here") }

    func fetchWITSVID(
        request: WorkloadWITSVIDRequest, response: RPCWriter<WorkloadWITSVIDResponse>, context: ServerContext
    ) async throws { throw RPCError(code: .unimplemented, message: "not here") }

    func fetchWITBundles(
        request: WorkloadWITBundlesRequest, response: RPCWriter<WorkloadWITBundlesResponse>, context: ServerContext
    ) async throws { throw RPCError(code: .unimplemented, message: "not here") }
}

@Suite("Tokens from a source")
struct TokenSourceTests {
    private let realm: Realm
    private let agent = MintingAgent(mint: TokenMint())

    init() throws { realm = try Realm() }

    private func serving() throws -> SPIFFEServerTransport {
        SPIFFEServerTransport(
            host: "127.0.0.1", port: 0, source: try realm.source("/server"), authorizing: .any)
    }

    @Test("JWT-24 a client's token names it to the server, and is fetched once for many calls")
    func endToEnd() async throws {
        try await agent.run { options in
            let tokens = try await JWTSource.start(options: options)
            let audience = try JWTAudience("mirror")
            for proof in [
                // A source that nobody else holds lives on in the proof.
                CallerProof.token(for: audience, source: try await JWTSource.start(options: options)),
                .token(for: audience, source: try await BundleSource.start(options: options)),
                .tokenOrCertificate(for: audience, source: try await JWTSource.start(options: options)),
                .tokenOrCertificate(for: audience, source: try await BundleSource.start(options: options)),
            ] {
                try await MirrorServer.run(
                    try serving(), interceptors: [PeerIdentityInterceptor(proof, authorizing: .any)]
                ) { [realm] server in
                    let interceptor = JWTSVIDInterceptor(source: tokens, audience: "mirror")
                    let answer = try await server.ask(
                        Mirror.current, through: try server.transport(try realm.source()),
                        metadata: ["authorization": "Basic replaced"], interceptors: [interceptor])
                    #expect(answer == "spiffe://example.org/token")
                    let elsewhere = JWTSVIDInterceptor(source: tokens) { "for \($0.method)" }
                    let error = await #expect(throws: RPCError.self) {
                        try await server.ask(
                            Mirror.current, through: try server.transport(try realm.source()), interceptors: [elsewhere]
                        )
                    }
                    #expect(error?.code == .unauthenticated)
                }
            }
            #expect(agent.asked.value == 2)
            await tokens.close()
        }
    }

    @Test("WLAPI-40 a server without bundles is unavailable, whatever the token")
    func noBundles() async throws {
        try await agent.run { options in
            let tokens = try await JWTSource.start(options: options)
            let bundles = try await BundleSource.start(options: options)
            let audience = try JWTAudience("mirror")
            let proof = CallerProof.token(for: audience, source: bundles)
            await bundles.close()
            try await MirrorServer.run(
                try serving(), interceptors: [PeerIdentityInterceptor(proof, authorizing: .any)]
            ) { [realm] server in
                let error = await #expect(throws: RPCError.self) {
                    try await server.ask(
                        Mirror.current, through: try server.transport(try realm.source()),
                        interceptors: [JWTSVIDInterceptor(source: tokens, audience: "mirror")])
                }
                #expect(error?.code == .unavailable)
                #expect(error?.message == "callers cannot be judged now; retry later")
            }
            await tokens.close()
        }
    }

    @Test(
        "a call without a token to send is not sent",
        arguments: [
            (.noIdentity, .unauthenticated), (.unavailable, .unavailable), (.timedOut, .unavailable),
            (.invalidRequest, .unauthenticated), (.closed, .unauthenticated),
        ] as [(WorkloadAPIError.Code, RPCError.Code)])
    func noToken(_ code: WorkloadAPIError.Code, becomes status: RPCError.Code) async throws {
        let interceptor = JWTSVIDInterceptor { _ throws(WorkloadAPIError) in throw WorkloadAPIError(code, "none") }
        let error = await #expect(throws: RPCError.self) {
            _ = try await interceptor.intercept(
                request: StreamingClientRequest<String> { _ in },
                context: ClientContext(descriptor: Mirror.current, remotePeer: "", localPeer: "")
            ) { _, _ -> StreamingClientResponse<String> in
                Issue.record("the call was sent")
                throw CancellationError()
            }
        }
        #expect(error?.code == status)
    }
}
