internal import UnixSignals

/// Lets a command that runs for ever end well when it is interrupted.
enum Interruption {
    /// Runs a body until it ends or SIGINT or SIGTERM comes.
    ///
    /// - Parameter body: Cancelled by the signal.
    /// - Throws: What the body throws, unless it was interrupted.
    static func end(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(operation: body)
            group.addTask { for await _ in signals { return } }
            try await group.next()
            group.cancelAll()
            // Whatever the cancelled body still throws is the interruption itself.
            while await group.nextResult() != nil {}
        }
    }
}
