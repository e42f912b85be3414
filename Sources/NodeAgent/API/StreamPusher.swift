internal import AgentDomain
internal import WorkloadSocket

/// Has streams say what has changed, and looks at their processes again in between.
///
/// A tick of the state costs a comparison for each stream, and a round only for those that have something to say. Code
/// can change without any event, so every stream has a round now and then even when there is nothing to say.
struct StreamPusher: Sendable {
    /// How long the sweep takes at least, and how long for each connection, so that many cannot take the machine.
    private static let shortestSweep = Duration.seconds(5)
    private static let pauseForEach = Duration.milliseconds(2)
    private static let atOnce = 16

    let server: WorkloadServer
    let handler: WorkloadHandler
    let state: AgentState

    /// Runs until cancelled.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await push() }
            group.addTask { try await sweep() }
            try await group.next()
            group.cancelAll()
        }
    }

    private func push() async {
        for await _ in state.ticks(startingWithOne: true) {
            for connection in server.connections where connection.openCalls.contains(where: handler.isStale) {
                connection.poke()
            }
        }
    }

    /// A connection that may be gone by its turn; its descriptors must not wait for that.
    private struct Reference: Sendable {
        weak let connection: WorkloadConnection?
    }

    private func sweep() async throws {
        while true {
            let connections = server.connections.map { Reference(connection: $0) }
            let pause = max(Self.shortestSweep, Self.pauseForEach * connections.count)
            let groups = max(1, (connections.count + Self.atOnce - 1) / Self.atOnce)
            guard !connections.isEmpty else {
                try await Task.sleep(for: pause)
                continue
            }
            // Spread over the pause rather than at once.
            for start in stride(from: 0, to: connections.count, by: Self.atOnce) {
                for reference in connections[start..<min(start + Self.atOnce, connections.count)] {
                    reference.connection?.poke()
                }
                try await Task.sleep(for: pause / groups)
            }
        }
    }
}
