package import AgentDomain
internal import Foundation
package import Logging
internal import Platform

/// Tells the issuer of incidents, in order, each until it is recorded.
package final class IncidentReporter: Sendable {
    private static let batch = 100
    private static let firstPause = Duration.milliseconds(200)
    private static let longestPause = Duration.seconds(30)

    /// Sends a batch under the name of this run; answers up to which number everything is recorded.
    package typealias Send = @Sendable (String, IncidentQueue.Batch) async throws(IssuerClientError) -> UInt64

    private let queue: IncidentQueue
    private let runID: String
    private let send: Send
    private let logger: Logger

    package init(queue: IncidentQueue, runID: String, logger: Logger, send: @escaping Send) {
        self.queue = queue
        self.runID = runID
        self.send = send
        self.logger = logger
    }

    /// Runs until cancelled.
    package func run() async throws {
        for await _ in queue.arrivals {
            var pause = Self.firstPause
            while let batch = queue.next(limit: Self.batch) {
                do {
                    let sent = batch.incidents.last?.number ?? 0
                    let recorded = min(sent, try await send(runID, batch))
                    queue.recorded(upTo: recorded)
                    if recorded >= batch.incidents.first?.number ?? 0 {
                        pause = Self.firstPause
                        continue
                    }
                    // An issuer that takes nothing and says so cheerfully is asked again no sooner than one that fails.
                    logger.debug("issuer recorded no incident; trying again")
                } catch {
                    if case .refused(let detail) = error {
                        // An issuer of another make has no such service: the agent's own log is the record.
                        logger.debug("issuer takes no incident reports", metadata: ["error": "\(detail)"])
                        queue.recorded(upTo: batch.incidents.last?.number ?? 0)
                        continue
                    }
                    logger.debug("incidents not reported; trying again", metadata: ["error": "\(error)"])
                }
                try await Task.sleep(for: pause)
                pause = min(pause * 2, Self.longestPause)
            }
        }
    }
}
