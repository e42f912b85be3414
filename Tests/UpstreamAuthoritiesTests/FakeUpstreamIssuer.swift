import Foundation
import GRPCCore
import GRPCProtobuf
import IssuerAPIProtos
import SwiftProtobuf
import Synchronization

/// A fake of the issuer above: it answers the three calls that servers below make with what a test says.
final class FakeUpstreamIssuer: RegistrableRPCService {
    struct Script: Sendable {
        var chain: [[UInt8]] = [[1]]
        var roots: [[UInt8]] = [[2]]
        var bundle = Spire_Api_Types_Bundle.with {
            $0.trustDomain = "example.org"
            $0.x509Authorities = [.with { $0.asn1 = Data([2]) }]
        }
        var failure: RPCError?
        /// For each call, before it is answered.
        var delay = Duration.zero
    }

    private let state = Mutex(Script())
    private let received = Mutex(Received())

    struct Received: Sendable {
        var minted: [Spire_Api_Server_Svid_V1_NewDownstreamX509CARequest] = []
        var published: [Spire_Api_Types_JWTKey] = []
    }

    var script: Script {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    /// Everything that was asked.
    var asked: Received { received.withLock { $0 } }

    func registerMethods(with router: inout RPCRouter<some ServerTransport>) {
        router.registerHandler(
            forMethod: Spire_Api_Server_Svid_V1_SVID.Method.NewDownstreamX509CA.descriptor,
            deserializer: ProtobufDeserializer<Spire_Api_Server_Svid_V1_NewDownstreamX509CARequest>(),
            serializer: ProtobufSerializer<Spire_Api_Server_Svid_V1_NewDownstreamX509CAResponse>()
        ) { [self] request, _ in
            let message = try await ServerRequest(stream: request).message
            received.withLock { $0.minted.append(message) }
            let script = try await answer()
            return StreamingServerResponse(
                single: ServerResponse(
                    message: .with {
                        $0.caCertChain = script.chain.map { Data($0) }
                        $0.x509Authorities = script.roots.map { Data($0) }
                    }))
        }
        router.registerHandler(
            forMethod: Spire_Api_Server_Bundle_V1_Bundle.Method.PublishJWTAuthority.descriptor,
            deserializer: ProtobufDeserializer<Spire_Api_Server_Bundle_V1_PublishJWTAuthorityRequest>(),
            serializer: ProtobufSerializer<Spire_Api_Server_Bundle_V1_PublishJWTAuthorityResponse>()
        ) { [self] request, _ in
            let message = try await ServerRequest(stream: request).message
            received.withLock { $0.published.append(message.jwtAuthority) }
            let script = try await answer()
            return StreamingServerResponse(
                single: ServerResponse(
                    message: .with { $0.jwtAuthorities = script.bundle.jwtAuthorities + [message.jwtAuthority] }))
        }
        router.registerHandler(
            forMethod: Spire_Api_Server_Bundle_V1_Bundle.Method.GetBundle.descriptor,
            deserializer: ProtobufDeserializer<Spire_Api_Server_Bundle_V1_GetBundleRequest>(),
            serializer: ProtobufSerializer<Spire_Api_Types_Bundle>()
        ) { [self] _, _ in
            StreamingServerResponse(single: ServerResponse(message: try await answer().bundle))
        }
    }

    private func answer() async throws -> Script {
        let script = script
        if script.delay > .zero { try await Task.sleep(for: script.delay) }
        if let failure = script.failure { throw failure }
        return script
    }
}
