public import Logging
public import SPIFFE

/// How a source behaves; the defaults suit a service.
public struct SourceOptions: Sendable {
    /// Where the endpoint listens; nil reads `SPIFFE_ENDPOINT_SOCKET` (WLEP-18).
    public var endpoint: WorkloadEndpoint?

    /// How long to wait for the first answer.
    ///
    /// A process whose entry was not made yet waits all of it.
    public var timeout: Duration

    /// Where the source tells what happens to it; nothing secret is written.
    public var logger: Logger

    package var backoff = Backoff()

    /// Creates options.
    ///
    /// - Parameters:
    ///   - endpoint: Where the endpoint listens; nil reads the environment.
    ///   - timeout: How long to wait for the first answer.
    ///   - logger: Where the source tells what happens to it.
    public init(
        endpoint: WorkloadEndpoint? = nil, timeout: Duration = .seconds(30),
        logger: Logger = Logger(label: "spiffe.workload")
    ) {
        (self.endpoint, self.timeout, self.logger) = (endpoint, timeout, logger)
    }
}
