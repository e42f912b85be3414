package import GRPCCore
internal import ServiceLifecycle

/// A gRPC server as a long-running part: serves until told to stop, then lets calls finish.
package struct GRPCService<Transport: ServerTransport>: Service {
    private let server: GRPCServer<Transport>

    package init(_ server: GRPCServer<Transport>) { self.server = server }

    package func run() async throws {
        do {
            try await withGracefulShutdownHandler {
                try await server.serve()
            } onGracefulShutdown: {
                server.beginGracefulShutdown()
            }
        } catch {
            // A peer that never answers holds a drain open for ever; it is cut when patience ends, and that is no error.
            guard Task.isShuttingDownGracefully else { throw error }
        }
    }
}

/// A loop as a long-running part: runs until told to stop, and is cancelled then.
package struct LoopService: Service {
    private let loop: @Sendable () async throws -> Void

    package init(_ loop: @escaping @Sendable () async throws -> Void) { self.loop = loop }

    package func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await loop() }
        } catch is CancellationError {
            // Told to stop.
        }
    }
}
