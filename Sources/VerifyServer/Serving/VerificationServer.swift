package import Bootstrap
package import Logging
package import Platform
package import SPIFFE
package import ServiceLifecycle

/// Answers proxies that ask who calls, opened and ready to be run.
///
/// It listens at once, and answers 503 until the agent has given bundles, and whenever it has taken them back. An agent
/// that is merely gone for a while changes nothing: what it said last still holds.
package struct VerificationServer: Sendable {
    private let listening: ListeningEndpoint
    private let follower: BundleFollower
    private let responder: VerificationResponder
    private let logger: Logger

    /// Opens a server.
    ///
    /// - Parameters:
    ///   - listening: Where proxies connect.
    ///   - endpoint: The agent whose bundles decide.
    ///   - judge: The decision.
    ///   - clock: The time.
    ///   - logger: For what happens; no token is written.
    /// - Throws: ``Failure`` when another process listens there.
    package init(
        listening: ListeningEndpoint, endpoint: WorkloadEndpoint, judge: RequestJudge, clock: any WallClock,
        logger: Logger
    ) throws(Failure) {
        if case .unix(let path, mode: _, group: _) = listening { try path.refuseIfTaken() }
        let shelf = BundleShelf()
        self.listening = listening
        self.logger = logger
        follower = BundleFollower(endpoint: endpoint, shelf: shelf, logger: logger)
        responder = VerificationResponder(judge: judge, clock: clock, logger: logger) { shelf.current }
    }

    /// What has to run for this server to work.
    ///
    /// - Parameter onReady: Called once with the address, when requests can be judged.
    /// - Returns: The HTTP server and the loop that follows the agent; neither has started.
    package func services(onReady: @escaping @Sendable (String) async throws -> Void) -> [any Service] {
        let (addresses, address) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingOldest(1))
        return [
            VerificationListener(endpoint: listening, responder: responder, logger: logger) { [logger] in
                logger.info("listening", metadata: ["address": "\($0)"])
                address.yield($0)
                address.finish()
            },
            LoopService { [follower] in
                try await follower.run {
                    for await address in addresses { try await onReady(address) }
                }
            },
        ]
    }

    /// Removes the Unix socket.
    package func close() {
        if case .unix(let path, mode: _, group: _) = listening { path.remove() }
    }
}
