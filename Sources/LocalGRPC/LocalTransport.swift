package import GRPCConnections
package import GRPCCore
internal import GRPCWire
package import NIOCore
internal import NIOPosix
internal import Synchronization

/// gRPC on a Unix socket with one thread that reads, runs the handlers and writes, and a second one that helps out.
///
/// So a lone call wakes one thread once. A handler that waits, waits without the thread; one that blocks holds up others,
/// and belongs on another executor.
package final class LocalTransport<Peer: ServerContext.TransportSpecific>: ServerTransport {
    package typealias Bytes = [UInt8]

    private let path: String
    private let publish: @Sendable () throws -> Void
    private let limits: PeerLimits
    private let explain: @Sendable (any Error) -> any Error
    private let accept: @Sendable (any Channel) -> EventLoopFuture<Peer>
    private let methods = Mutex<[MethodDescriptor]>([])
    private let registry = ConnectionRegistry()

    /// Creates a transport that listens once it is served.
    ///
    /// - Parameters:
    ///   - path: Where the socket is made.
    ///   - publish: Puts it where peers look for it, once it listens.
    ///   - limits: What a peer may cost; of connections and their age nothing is limited.
    ///   - explain: Turns the reason why it cannot listen into one for people.
    ///   - accept: Runs before the first byte is read. A failure closes that connection alone.
    package init(
        path: String, publish: @escaping @Sendable () throws -> Void, limits: PeerLimits,
        explain: @escaping @Sendable (any Error) -> any Error = { $0 },
        accept: @escaping @Sendable (any Channel) -> EventLoopFuture<Peer>
    ) {
        (self.path, self.publish, self.limits) = (path, publish, limits)
        (self.explain, self.accept) = (explain, accept)
    }

    /// Waits until peers can connect; false when they never can.
    package func waitUntilListening() async -> Bool { await registry.waitUntilListening() }

    package func configure(context: GRPCServerContext) { methods.withLock { $0 = context.methods } }

    package func beginGracefulShutdown() { registry.stop(at: .onceIdle) }

    package func listen(
        streamHandler: @escaping @Sendable (RPCStream<Inbound, Outbound>, ServerContext) async -> Void
    ) async throws {
        defer { registry.end() }
        let served = ServedMethods(methods.withLock { $0 }, handler: streamHandler)
        let listener: any Channel
        do { listener = try await bind(served) } catch { throw explain(error) }
        registry.begin(listener)
        await withTaskCancellationHandler {
            await registry.waitUntilClosed()
        } onCancel: {
            registry.stop(at: .once)
        }
    }

    private func bind(_ served: ServedMethods) async throws -> any Channel {
        let listener = try await ServerBootstrap(group: LoopExecutor.shared.loop)
            // NIO's own 128 makes clients back off for a second when a thousand come at once.
            .serverChannelOption(.backlog, value: 4096)
            .childChannelInitializer { [self] channel in
                accept(channel).flatMapThrowing { [self] peer in
                    let connection = LocalConnection(peer: peer, served: served, limits: limits)
                    try channel.pipeline.syncOperations.addHandlers(
                        SilenceCutter(opening: limits.openingSilence, later: limits.silence), connection)
                    try registry.admit(connection.handle(of: channel))
                }
                .flatMapErrorThrowing { error in
                    // NIO drops a channel whose initializer failed without closing it.
                    channel.close(promise: nil)
                    throw error
                }
            }
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        do { try publish() } catch {
            try? await listener.close()
            throw error
        }
        return listener
    }
}
