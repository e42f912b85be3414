import Bootstrap
import GRPCConnections
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import Synchronization
import Testing

@Suite("The age of connections")
struct ConnectionAgeTests {
    @Test("Agents are verified anew every three minutes, and admins on the same machine once")
    func ages() {
        #expect(PeerLimits.issuerNetwork.connectionAge == .seconds(180))
        #expect(PeerLimits.issuer.connectionAge == nil)
    }

    @Test(
        "An old connection takes no more calls, lets those under way go on to their end, and is closed then",
        .timeLimit(.minutes(3)))
    func old() async throws {
        var limits = PeerLimits.issuerNetwork
        limits.connectionAge = .seconds(1)
        let connections = Connections()
        let transport = ConnectionAwareTransport(
            endpoint: .tcp(host: "127.0.0.1", port: 0), limits: limits, security: .none
        ) { connections.accept($0) }
        try await withGRPCServer(transport: transport, services: [WhichConnection()]) { _ in
            let port = try #require(await transport.listeningAddress?.ipv4?.port)
            let client = try HTTP2ClientTransport.Posix(
                target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
            try await withGRPCClient(transport: client) { client in
                while try await !Self.outlives(client, connections) {}
            }
        }
    }

    /// Follows something on one connection while others go by newer ones.
    ///
    /// - Returns: Whether that came to be: false when the connection was old before the first answer.
    private static func outlives(
        _ client: GRPCClient<HTTP2ClientTransport.Posix>, _ connections: Connections
    ) async throws -> Bool {
        let (questions, asker) = AsyncStream.makeStream(of: Void.self)
        asker.yield()
        return try await client.bidirectionalStreaming(
            request: StreamingClientRequest { writer in for await _ in questions { try await writer.write(0) } },
            descriptor: WhichConnection.follow, serializer: NumberCodec(), deserializer: NumberCodec(),
            options: .defaults
        ) { response in
            var answers = response.messages.makeAsyncIterator()
            let first: Int?
            do { first = try await answers.next() } catch {
                asker.finish()
                return false
            }
            let own = try #require(first)
            // Others leave it while this one is open, again and again.
            var others: Set<Int> = []
            while others.subtracting([own]).count < 2 {
                others.insert(try await ask(client))
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(!connections.closed.contains(own))
            asker.yield()
            let last = try await answers.next()
            #expect(last == own)
            asker.finish()
            let end = try await answers.next()
            #expect(end == nil)
            while !connections.closed.contains(own) { try await Task.sleep(for: .milliseconds(20)) }
            let next = try await ask(client)
            #expect(next != own)
            return true
        }
    }

    /// Asks once more when the connection became old just before the call.
    private static func ask(_ client: GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Int {
        while true {
            do {
                return try await client.unary(
                    request: ClientRequest(message: 0), descriptor: WhichConnection.ask, serializer: NumberCodec(),
                    deserializer: NumberCodec(), options: .defaults
                ) { try $0.message }
            } catch let error as RPCError where error.code == .unavailable { continue }
        }
    }
}

/// Counts connections from 1.
private final class Connections: Sendable {
    struct Known: ServerContext.TransportSpecific { let number: Int }

    private let count = Mutex(0)
    private let ended = Mutex<Set<Int>>([])

    var closed: Set<Int> { ended.withLock { $0 } }

    func accept(_ channel: any Channel) -> EventLoopFuture<Known> {
        let number = count.withLock { count in
            count += 1
            return count
        }
        channel.closeFuture.whenComplete { [self] _ in ended.withLock { _ = $0.insert(number) } }
        return channel.eventLoop.makeSucceededFuture(Known(number: number))
    }
}

/// Answers each message with the number of the connection that it came by.
private struct WhichConnection: RegistrableRPCService {
    static let ask = method("Ask")
    static let follow = method("Follow")

    private static func method(_ name: String) -> MethodDescriptor {
        MethodDescriptor(service: ServiceDescriptor(fullyQualifiedService: "test.WhichConnection"), method: name)
    }

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        for method in [Self.ask, Self.follow] {
            router.registerHandler(
                forMethod: method, deserializer: NumberCodec(), serializer: NumberCodec()
            ) { request, context in
                let number = (context.transportSpecific as? Connections.Known)?.number ?? 0
                return StreamingServerResponse { writer in
                    for try await _ in request.messages { try await writer.write(number) }
                    return [:]
                }
            }
        }
    }
}

private struct NumberCodec: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: Int) throws -> Bytes { Bytes(Array("\(message)".utf8)) }

    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> Int {
        bytes.withUnsafeBytes { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
    }
}
