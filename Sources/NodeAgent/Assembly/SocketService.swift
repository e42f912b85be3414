internal import GRPCWire
internal import AgentDomain
internal import Bootstrap
internal import Foundation
internal import Glibc
internal import LinuxKernel
internal import Logging
internal import Platform
internal import ServiceLifecycle
internal import Synchronization
internal import WorkloadSocket

/// One of the agent's own sockets as a long-running part.
final class SocketService: Service {
    /// How long clients may take to read that the agent stops.
    private static let patience = Duration.seconds(2)

    private let path: UnixSocketPath
    private let mode: UInt32
    private let handler: WorkloadHandler
    private let state: AgentState
    private let logger: Logger
    private let server = Mutex<WorkloadServer?>(nil)
    private let (opened, opening) = AsyncStream.makeStream(of: Bool.self, bufferingPolicy: .bufferingNewest(1))

    init(_ path: UnixSocketPath, mode: UInt32, handler: WorkloadHandler, state: AgentState, logger: Logger) {
        (self.path, self.mode, self.handler, self.state, self.logger) = (path, mode, handler, state, logger)
    }

    /// Whether clients can connect; waits until that is known, for one who asks once.
    var isListening: Bool {
        get async {
            for await isOpen in opened { return isOpen }
            return false
        }
    }

    /// What it has counted; nil as long as it is not open.
    var counters: SocketCounters? { server.withLock { $0 }?.snapshot }

    func run() async throws {
        defer { opening.finish() }
        let server = try open()
        self.server.withLock { $0 = server }
        opening.yield(true)
        let pusher = StreamPusher(server: server, handler: handler, state: state)
        try await withTaskCancellationOrGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                group.addTask {
                    do { try await pusher.run() } catch is CancellationError {
                        // The server has stopped.
                    }
                }
                try await group.next()
                group.cancelAll()
            }
        } onCancelOrGracefulShutdown: {
            server.shutDown(within: Self.patience)
        }
    }

    /// Makes the socket beside its place, and moves it there with its final mode.
    private func open() throws -> WorkloadServer {
        unlink(path.staging)
        var settings = SocketSettings(
            cores: ProcessInfo.processInfo.activeProcessorCount, descriptors: DescriptorLimit.current)
        // Tokens of 64 KiB are judged as tokens, not as messages.
        settings.http2.message = 128 << 10
        do {
            let server = try WorkloadServer(
                listener: try ListeningSocket(path: path.staging, mode: mode), table: ServedMethod.table,
                settings: settings, handler: handler, entropy: SystemEntropy(), logger: logger)
            try path.publish(mode: mode)
            return server
        } catch let error as LinuxError {
            throw Failure(.cannotCreate, "cannot create socket \(path): \(error)", hint: "use another socket path")
        }
    }
}
