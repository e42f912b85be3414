package import GRPCCore
internal import Synchronization

/// A gRPC client whose transport, and with it the certificate it presents, can be replaced while calls are under way.
///
/// New calls go to the new transport; the old one drains. A call that loses the race is repeated once.
package final class RotatingClient<Transport: ClientTransport>: Sendable {
    private let current: Mutex<GRPCClient<Transport>>
    private let clients: AsyncStream<GRPCClient<Transport>>
    private let adoption: AsyncStream<GRPCClient<Transport>>.Continuation

    /// Creates a client; calls wait until ``run()`` does.
    ///
    /// - Parameter transport: The first transport.
    package init(_ transport: Transport) {
        let client = GRPCClient(transport: transport)
        current = Mutex(client)
        (clients, adoption) = AsyncStream.makeStream()
        adoption.yield(client)
    }

    /// Replaces the transport.
    package func rotate(to transport: Transport) {
        let client = GRPCClient(transport: transport)
        let old = current.withLock { current in
            let old = current
            current = client
            return old
        }
        adoption.yield(client)
        old.beginGracefulShutdown()
    }

    /// Runs connections until cancelled.
    package func run() async throws {
        await withDiscardingTaskGroup { group in
            for await client in clients {
                // A client ends when it has drained, or by an error that its calls have already seen.
                group.addTask { try? await client.runConnections() }
            }
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// Makes calls on the transport of the moment.
    package func withClient<Value: Sendable>(
        _ body: @Sendable (GRPCClient<Transport>) async throws -> Value
    ) async throws -> Value {
        let client = current.withLock { $0 }
        do {
            return try await body(client)
        } catch let error as RuntimeError where error.code == .clientIsStopped {
            return try await body(current.withLock { $0 })
        }
    }
}
