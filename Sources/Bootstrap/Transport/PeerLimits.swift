internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
package import NIOCore

/// What one peer may cost a server.
package struct PeerLimits: Hashable, Sendable {
    /// How long it may take to say its first word.
    package var openingSilence: TimeAmount
    /// How long it may be silent after that; above `keepalive` and its time-out, so that live peers are never cut.
    package var silence: TimeAmount
    /// How often a quiet peer is asked whether it is still there.
    package var keepalive: Duration
    /// Calls under way on one connection.
    package var concurrentCalls: Int
    /// Bytes in one request message.
    package var requestBytes: Int

    /// For workloads: many, local, unknown.
    package static let workloads = PeerLimits(
        openingSilence: .seconds(10), silence: .seconds(90), keepalive: .seconds(40), concurrentCalls: 100,
        requestBytes: 256 << 10)

    /// For agents and admins.
    package static let issuer = PeerLimits(
        openingSilence: .seconds(10), silence: .seconds(90), keepalive: .seconds(40), concurrentCalls: 1000,
        requestBytes: 4 << 20)

    /// The same, as the stock transport takes it.
    func configuration<Factory>() -> HTTP2ServerTransport.Custom<Factory>.Config {
        var configuration = HTTP2ServerTransport.Custom<Factory>.Config.defaults
        configuration.http2.maxConcurrentStreams = concurrentCalls
        configuration.rpc.maxRequestPayloadSize = requestBytes
        configuration.connection.keepalive.time = keepalive
        configuration.connection.keepalive.timeout = .seconds(20)
        // Clients that ping every ten seconds, as some do by default, are not troublemakers.
        configuration.connection.keepalive.clientBehavior = .init(
            minPingIntervalWithoutCalls: .seconds(9), allowWithoutCalls: true)
        return configuration
    }
}
