import GRPCCore
import GRPCConnections
import GRPCNIOTransportHTTP2Posix
import LocalGRPC
import NIOCore
import Synchronization
import TestSupport

/// What `accept` knows of a connection.
struct Number: ServerContext.TransportSpecific {
    let value: Int
}

/// Messages that are bytes and nothing else.
struct BytesCodec: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }

    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] {
        bytes.withUnsafeBytes { Array($0) }
    }
}

/// A service with one method of each kind that matters to a transport.
final class Workbench: RegistrableRPCService {
    static let echo = method("Echo", .unary)
    static let pour = method("Pour", .serverStreaming)
    static let collect = method("Collect", .clientStreaming)
    static let chat = method("Chat", .bidirectionalStreaming)
    static let refuse = method("Refuse", .unary)
    static let hang = method("Hang", .unary)

    /// Messages that `Pour` has written.
    let poured = Mutex(0)
    /// Calls of `Hang` that were told to stop.
    let released = Mutex(0)
    let hanging = Mutex(0)

    private static func method(_ name: String, _ type: MethodDescriptor.RPCType) -> MethodDescriptor {
        MethodDescriptor(
            service: ServiceDescriptor(fullyQualifiedService: "test.Workbench"), method: name, type: type)
    }

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        let codec = BytesCodec()
        router.registerHandler(forMethod: Self.echo, deserializer: codec, serializer: codec) { request, context in
            var all: [UInt8] = []
            for try await message in request.messages { all += message }
            let number = (context.transportSpecific as? Number)?.value ?? -1
            return StreamingServerResponse(
                single: ServerResponse(
                    message: all, metadata: ["number": "\(number)"], trailingMetadata: ["end": "yes"]))
        }
        router.registerHandler(forMethod: Self.pour, deserializer: codec, serializer: codec) { request, _ in
            var (count, size) = (0, 0)
            for try await message in request.messages {
                (count, size) = (Int(message[0]) * 100, Int(message[1]) * 1024)
            }
            return StreamingServerResponse { [count, size] writer in
                for _ in 0..<count {
                    try await writer.write([UInt8](repeating: 7, count: size))
                    self.poured.withLock { $0 += 1 }
                }
                return [:]
            }
        }
        router.registerHandler(forMethod: Self.collect, deserializer: codec, serializer: codec) { request, _ in
            var sum = 0
            for try await message in request.messages { sum += message.count }
            return StreamingServerResponse(single: ServerResponse(message: Array("\(sum)".utf8)))
        }
        router.registerHandler(forMethod: Self.chat, deserializer: codec, serializer: codec) { request, _ in
            StreamingServerResponse { writer in
                for try await message in request.messages { try await writer.write(message.reversed()) }
                return [:]
            }
        }
        router.registerHandler(forMethod: Self.refuse, deserializer: codec, serializer: codec) { _, _ in
            throw RPCError(
                code: .resourceExhausted, message: "später, bitte",
                metadata: ["retry-after-ms": "250", "data-bin": .binary([0, 255])])
        }
        router.registerHandler(forMethod: Self.hang, deserializer: codec, serializer: codec) { _, context in
            self.hanging.withLock { $0 += 1 }
            do { try await context.cancellation.cancelled } catch {}
            self.released.withLock { $0 += 1 }
            throw CancellationError()
        }
    }

    /// Runs a body against a server on a socket of its own.
    static func serve(
        limits: PeerLimits = PeerLimits(concurrentCalls: 100, requestBytes: 4 << 20),
        _ body: @Sendable (Workbench, String, GRPCServer<LocalTransport<Number>>) async throws -> Void
    ) async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/socket"
            let (service, connections) = (Workbench(), Counter())
            let transport = LocalTransport<Number>(path: path, publish: {}, limits: limits) { channel in
                channel.eventLoop.makeSucceededFuture(Number(value: connections.next()))
            }
            let server = GRPCServer(transport: transport, services: [service])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.serve() }
                guard await transport.waitUntilListening() else { return try await group.waitForAll() }
                try await body(service, path, server)
                server.beginGracefulShutdown()
                try await group.waitForAll()
            }
        }
    }

    /// Runs a body with a client of the library's own.
    static func connect<Value: Sendable>(
        _ path: String, _ body: @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Value
    ) async throws -> Value {
        try await withGRPCClient(
            transport: .http2NIOPosix(target: .unixDomainSocket(path: path), transportSecurity: .plaintext)
        ) { try await body($0) }
    }
}

final class Counter: Sendable {
    private let value = Mutex(0)

    func next() -> Int {
        value.withLock {
            $0 += 1
            return $0
        }
    }
}

extension GRPCClient {
    func ask(_ method: MethodDescriptor, _ message: [UInt8], timeout: Duration = .seconds(20)) async throws -> [UInt8] {
        var options = CallOptions.defaults
        options.timeout = timeout
        return try await unary(
            request: ClientRequest(message: message), descriptor: method, serializer: BytesCodec(),
            deserializer: BytesCodec(), options: options
        ) { try $0.message }
    }

    /// Sends messages, and gives what came back.
    func converse(_ method: MethodDescriptor, _ messages: [[UInt8]]) async throws -> [[UInt8]] {
        try await bidirectionalStreaming(
            request: StreamingClientRequest { writer in for message in messages { try await writer.write(message) } },
            descriptor: method, serializer: BytesCodec(), deserializer: BytesCodec(), options: .defaults
        ) { response in
            var answers: [[UInt8]] = []
            for try await message in response.messages { answers.append(message) }
            return answers
        }
    }
}
