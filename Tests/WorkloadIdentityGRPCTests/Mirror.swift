import GRPCCore
import GRPCNIOTransportHTTP2Posix
import SPIFFE
import WorkloadIdentity
import WorkloadIdentityGRPC
import X509

/// Tells callers what its handlers know of them.
struct Mirror: RegistrableRPCService {
    /// What the interceptor found out, in one response.
    static let current = method("Current")
    /// The same, asked anew for each of three messages of a stream.
    static let stream = method("Stream")
    /// What the connection says, without any interceptor.
    static let connection = method("Connection")

    private static func method(_ name: String) -> MethodDescriptor {
        MethodDescriptor(service: ServiceDescriptor(fullyQualifiedService: "test.Mirror"), method: name)
    }

    private static var name: String { PeerIdentity.current.map { "\($0)" } ?? "nobody" }

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        let codec = TextCodec()
        router.registerHandler(forMethod: Self.current, deserializer: codec, serializer: codec) { _, _ in
            StreamingServerResponse(single: ServerResponse(message: "\(try PeerIdentity.required())"))
        }
        router.registerHandler(forMethod: Self.stream, deserializer: codec, serializer: codec) { request, _ in
            let early = Self.name
            return StreamingServerResponse { writer in
                try await writer.write(early)
                for try await message in request.messages { try await writer.write("\(message) \(Self.name)") }
                await Task.yield()
                try await writer.write(Self.name)
                return [:]
            }
        }
        router.registerHandler(forMethod: Self.connection, deserializer: codec, serializer: codec) { _, context in
            let svid = (context.transportSpecific as? TLSPeer)?.svid
            return StreamingServerResponse(
                single: ServerResponse(message: svid.map { "\($0.id) \($0.leaf.serialNumber)" } ?? "nobody"))
        }
    }
}

/// Messages that are text and nothing else.
struct TextCodec: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: String) throws -> Bytes { Bytes(Array(message.utf8)) }

    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> String {
        bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}

/// A server with a ``Mirror`` on a loopback port.
struct MirrorServer: Sendable {
    let port: Int

    /// Runs a body while the server serves.
    static func run(
        _ transport: SPIFFEServerTransport, interceptors: [any ServerInterceptor] = [],
        _ body: @Sendable (MirrorServer) async throws -> Void
    ) async throws {
        try await withGRPCServer(transport: transport, services: [Mirror()], interceptors: interceptors) { server in
            let address = try await transport.listeningAddress
            try await body(MirrorServer(port: address.ipv4?.port ?? 0))
            _ = server
        }
    }

    /// Calls once, on a connection of its own.
    func ask(
        _ method: MethodDescriptor = Mirror.connection, through transport: HTTP2ClientTransport.Posix,
        metadata: Metadata = [:], interceptors: [any ClientInterceptor] = []
    ) async throws -> String {
        try await withGRPCClient(transport: transport, interceptors: interceptors) { client in
            try await client.ask(method, metadata: metadata)
        }
    }

    /// A client that takes any server of the trust domains it holds the bundles of.
    func transport(
        _ source: X509Source, authorizing authorizer: PeerAuthorizer = .any
    ) throws -> HTTP2ClientTransport.Posix {
        try .spiffe(host: "127.0.0.1", port: port, source: source, authorizing: authorizer)
    }
}

extension GRPCClient {
    /// Makes one call with one message.
    func ask(_ method: MethodDescriptor = Mirror.connection, metadata: Metadata = [:]) async throws -> String {
        var options = CallOptions.defaults
        options.timeout = .seconds(20)
        return try await unary(
            request: ClientRequest(message: "hello", metadata: metadata), descriptor: method,
            serializer: TextCodec(), deserializer: TextCodec(), options: options
        ) { try $0.message }
    }
}
